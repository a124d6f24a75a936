-- A record store of version 1: an image and an instance, and the history of making them and of a third that was removed.
PRAGMA application_id = 1651471464;
PRAGMA user_version = 1;
CREATE TABLE records (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE changes (
    revision INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB,
    PRIMARY KEY (revision, key)
) WITHOUT ROWID;
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters VALUES ('revision', 4), ('compacted', 0);
INSERT INTO records VALUES ('image/ami-00000001', CAST('"debian"' AS BLOB), 1, 1);
INSERT INTO records VALUES ('instance/i-00000001', CAST('"web"' AS BLOB), 2, 2);
INSERT INTO changes VALUES (1, 'image/ami-00000001', CAST('"debian"' AS BLOB));
INSERT INTO changes VALUES (2, 'instance/i-00000001', CAST('"web"' AS BLOB));
INSERT INTO changes VALUES (3, 'instance/i-00000002', CAST('"mail"' AS BLOB));
INSERT INTO changes VALUES (4, 'instance/i-00000002', NULL);
