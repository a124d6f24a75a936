//! Rows: instances, reservations, instance types, images, volumes, snapshots, key pairs.

use super::Operation::*;
use super::{Access, Content, DONE, Method, Route, Success, json, page};
use crate::ErrorCode::{
    AlreadyExists, ClientTokenMismatch, ConnectionRefused, ConnectionTimeout, InUse, InsufficientCapacity,
    InvalidParameter, LimitExceeded, NotFound, StorageFull, WrongState,
};

const INSTANCE: &[Success] = &[json(200, "Instance", "The instance as it is now.")];
const ON_ITS_WAY: &[Success] = &[json(
    202,
    "Instance",
    "The instance as it begins. `GET` it, or follow `GET /v1/events`, until its state is reached.",
)];
const CONSOLE: &[Success] = &[
    Success { status: 200, content: Content::Console, description: "Output as the guest printed it." },
    Success {
        status: 101,
        content: Content::Nothing,
        description: "The connection is the console from here on.",
    },
];
const CONNECTION: &[Success] = &[
    Success {
        status: 204,
        content: Content::Nothing,
        description: "The guest took the connection. It was closed again.",
    },
    Success {
        status: 101,
        content: Content::Nothing,
        description: "The connection is the one to the guest from here on.",
    },
];
const IMAGE: &[Success] = &[json(200, "Image", "The image as it is now.")];
const JOB: &[Success] = &[json(202, "Job", "The job that makes it.")];
const VOLUME: &[Success] = &[json(200, "Volume", "The volume as it is now.")];
const SNAPSHOT: &[Success] = &[json(200, "Snapshot", "The snapshot as it is now.")];
const KEY_PAIR: &[Success] = &[json(200, "KeyPair", "The key pair.")];

/// The rows.
pub(super) const ROWS: &[Route] = &[
    Route::new(
        Method::Post,
        "/v1/instances",
        LaunchInstances,
        "Launches instances",
        &[
            json(202, "Launched", "The instances as they begin."),
            json(200, "LaunchPreview", "What would be launched, to a request with `dry_run`."),
        ],
    )
    .about("All that is asked for is checked before anything is made. What was answered is not lost when the daemon ends.")
    .body("LaunchRequest")
    .codes_of_its_own(&[
        InvalidParameter,
        NotFound,
        LimitExceeded,
        InsufficientCapacity,
        StorageFull,
        InUse,
        WrongState,
        ClientTokenMismatch,
    ]),
    Route::new(Method::Get, "/v1/instances", ListInstances, "Lists instances", &[page("Instance", "Instances in the order of their ids; also those that were terminated within the last hour.")])
        .query("InstanceQuery"),
    Route::new(Method::Get, "/v1/instances/{instance_id}", GetInstance, "Shows an instance", INSTANCE),
    Route::new(Method::Patch, "/v1/instances/{instance_id}", UpdateInstance, "Changes an instance", INSTANCE)
        .body("UpdateInstance")
        .codes_of_its_own(&[InvalidParameter, WrongState, LimitExceeded, InsufficientCapacity]),
    Route::new(Method::Delete, "/v1/instances/{instance_id}", TerminateInstance, "Terminates an instance", ON_ITS_WAY)
        .about("The guest gets a short time to go down. One that is terminated already is no error.")
        .codes_of_its_own(&[WrongState]),
    Route::new(Method::Post, "/v1/instances/{instance_id}/start", StartInstance, "Starts an instance", ON_ITS_WAY)
        .about("One that runs or is about to is no error.")
        .codes_of_its_own(&[WrongState, LimitExceeded, InsufficientCapacity]),
    Route::new(Method::Post, "/v1/instances/{instance_id}/stop", StopInstance, "Stops an instance", ON_ITS_WAY)
        .about("The guest is told to go down, and its plug is pulled if it does not in time. One that is stopped or about to be is no error.")
        .body("Force")
        .codes_of_its_own(&[WrongState]),
    Route::new(Method::Post, "/v1/instances/{instance_id}/reboot", RebootInstance, "Reboots an instance", ON_ITS_WAY)
        .about("The guest is told to go down and is booted again, and is reset if it does not in time.")
        .body("Force")
        .codes_of_its_own(&[WrongState]),
    Route::new(Method::Post, "/v1/instances/{instance_id}/renew", RenewInstance, "Renews a subscription", INSTANCE)
        .body("Renew")
        .codes_of_its_own(&[InvalidParameter, WrongState]),
    Route::new(Method::Get, "/v1/instances/{instance_id}/console", GetConsole, "What the guest printed", CONSOLE)
        .about(
            "The history from `offset` on, at most 1 MiB of it: ask again from the end of that for more. With `Connection: \
             Upgrade` and `Upgrade: bothy-console` the connection becomes the console instead: output one way, input the \
             other, both as they are.",
        )
        .query("ConsoleQuery")
        .codes_of_its_own(&[WrongState]),
    Route::new(Method::Post, "/v1/instances/{instance_id}/connect", ConnectToInstance, "Connects to a port of an instance", CONNECTION)
        .about(
            "Opens a TCP connection to the first network interface, from the router of its subnet, so that also instances are \
             reached whose addresses are known in their VPC only. Security groups have no say: what may be asked here is up to \
             policies, as with the console. With `Connection: Upgrade` and `Upgrade: bothy-tcp` the connection becomes that \
             one, both ways, and each way ends by itself. Without, it is only seen whether the guest takes it.",
        )
        .query("ConnectQuery")
        .codes_of_its_own(&[WrongState, ConnectionRefused, ConnectionTimeout]),
    Route::new(Method::Get, "/v1/instances/{instance_id}/metrics", GetInstanceMetrics, "What an instance uses", &[json(200, "InstanceMetrics", "As measured now.")])
        .codes_of_its_own(&[WrongState]),
    Route::new(Method::Get, "/v1/instances/{instance_id}/user-data", GetUserData, "Shows an instance's user data", &[json(200, "InstanceUserData", "The user data.")]),
    tags("/v1/instances/{instance_id}/tags", SetInstanceTags, INSTANCE).codes_of_its_own(&[WrongState]),
    Route::new(Method::Get, "/v1/reservations", ListReservations, "Lists launches", &[page("Reservation", "Launches in the order of their ids.")])
        .query("PageQuery"),
    Route::new(Method::Get, "/v1/reservations/{reservation_id}", GetReservation, "Shows a launch", &[json(200, "Reservation", "The launch.")]),
    Route::new(Method::Get, "/v1/instance-types", ListInstanceTypes, "Lists instance types", &[page("InstanceType", "Instance types, the smallest first.")])
        .query("PageQuery"),
    Route::new(Method::Get, "/v1/instance-types/{instance_type}", GetInstanceType, "Shows an instance type", &[json(200, "InstanceType", "The instance type.")]),
    Route::new(Method::Post, "/v1/image-imports", ImportImage, "Makes an image of files, on the host or on a server", JOB)
        .about("For the operator, as it reads files of the host, and asks servers that only the host may reach.")
        .access(Access::Operator)
        .body("ImportImage")
        .codes_of_its_own(&[InvalidParameter, AlreadyExists, StorageFull, ClientTokenMismatch]),
    Route::new(Method::Post, "/v1/images", CreateImage, "Makes an image of a snapshot", JOB)
        .body("CreateImage")
        .codes_of_its_own(&[
            InvalidParameter,
            NotFound,
            WrongState,
            AlreadyExists,
            StorageFull,
            ClientTokenMismatch,
        ]),
    Route::new(Method::Get, "/v1/images", ListImages, "Lists images", &[page("Image", "One's own images and those that one may launch, in the order of their ids.")])
        .query("ImageQuery"),
    Route::new(Method::Get, "/v1/images/{image_id}", GetImage, "Shows an image", IMAGE),
    Route::new(Method::Patch, "/v1/images/{image_id}", UpdateImage, "Changes an image", IMAGE)
        .about("By its owner only.")
        .body("UpdateImage")
        .codes_of_its_own(&[InvalidParameter, WrongState, AlreadyExists]),
    Route::new(Method::Delete, "/v1/images/{image_id}", DeregisterImage, "Removes an image", &[DONE])
        .about("Instances that were launched from it live on.")
        .codes_of_its_own(&[WrongState]),
    tags("/v1/images/{image_id}/tags", SetImageTags, IMAGE),
    Route::new(Method::Post, "/v1/volumes", CreateVolume, "Makes a volume", &[json(201, "Volume", "The volume; ready when its state is `available`.")])
        .body("CreateVolume")
        .codes_of_its_own(&[InvalidParameter, NotFound, WrongState, LimitExceeded, StorageFull, ClientTokenMismatch]),
    Route::new(Method::Get, "/v1/volumes", ListVolumes, "Lists volumes", &[page("Volume", "Volumes in the order of their ids.")]).query("VolumeQuery"),
    Route::new(Method::Get, "/v1/volumes/{volume_id}", GetVolume, "Shows a volume", VOLUME),
    Route::new(Method::Patch, "/v1/volumes/{volume_id}", UpdateVolume, "Changes a volume", VOLUME)
        .body("UpdateVolume")
        .codes_of_its_own(&[InvalidParameter, WrongState, LimitExceeded, StorageFull]),
    Route::new(Method::Post, "/v1/volumes/{volume_id}/attach", AttachVolume, "Attaches a volume to an instance", VOLUME)
        .about("The instance must be stopped.")
        .body("AttachVolume")
        .codes_of_its_own(&[InvalidParameter, WrongState, InUse, LimitExceeded]),
    Route::new(Method::Post, "/v1/volumes/{volume_id}/detach", DetachVolume, "Detaches a volume", VOLUME)
        .about("Not an instance's system disk, which stays.")
        .body("Force")
        .codes_of_its_own(&[InvalidParameter, WrongState]),
    Route::new(Method::Delete, "/v1/volumes/{volume_id}", DeleteVolume, "Deletes a volume", &[DONE])
        .codes_of_its_own(&[WrongState, InUse]),
    tags("/v1/volumes/{volume_id}/tags", SetVolumeTags, VOLUME),
    Route::new(Method::Post, "/v1/snapshots", CreateSnapshot, "Makes a snapshot of a volume", &[json(201, "Snapshot", "The snapshot; ready when its state is `available`.")])
        .body("CreateSnapshot")
        .codes_of_its_own(&[NotFound, WrongState, StorageFull, ClientTokenMismatch]),
    Route::new(Method::Get, "/v1/snapshots", ListSnapshots, "Lists snapshots", &[page("Snapshot", "Snapshots in the order of their ids.")])
        .query("SnapshotQuery"),
    Route::new(Method::Get, "/v1/snapshots/{snapshot_id}", GetSnapshot, "Shows a snapshot", SNAPSHOT),
    Route::new(Method::Patch, "/v1/snapshots/{snapshot_id}", UpdateSnapshot, "Renames a snapshot", SNAPSHOT).body("Rename"),
    Route::new(Method::Delete, "/v1/snapshots/{snapshot_id}", DeleteSnapshot, "Deletes a snapshot", &[DONE])
        .codes_of_its_own(&[WrongState, InUse]),
    tags("/v1/snapshots/{snapshot_id}/tags", SetSnapshotTags, SNAPSHOT),
    Route::new(Method::Post, "/v1/key-pairs", CreateKeyPair, "Makes a key pair", &[json(201, "NewKeyPair", "The key pair with its private half, which is shown here only.")])
        .body("CreateKeyPair")
        .codes_of_its_own(&[AlreadyExists]),
    Route::new(Method::Post, "/v1/key-pair-imports", ImportKeyPair, "Imports a public key", &[json(201, "KeyPair", "The key pair.")])
        .body("ImportKeyPair")
        .codes_of_its_own(&[AlreadyExists, InvalidParameter]),
    Route::new(Method::Get, "/v1/key-pairs", ListKeyPairs, "Lists key pairs", &[page("KeyPair", "Key pairs by name.")]).query("PageQuery"),
    Route::new(Method::Get, "/v1/key-pairs/{key_pair_id}", GetKeyPair, "Shows a key pair", KEY_PAIR),
    Route::new(Method::Delete, "/v1/key-pairs/{key_pair_id}", DeleteKeyPair, "Deletes a key pair", &[DONE])
        .about("Guests that have its public half keep it."),
    tags("/v1/key-pairs/{key_pair_id}/tags", SetKeyPairTags, KEY_PAIR),
];

/// A row that sets a resource's tags.
pub(super) const fn tags(
    path: &'static str,
    operation: super::Operation,
    successes: &'static [Success],
) -> Route {
    Route::new(Method::Put, path, operation, "Sets tags", successes)
        .about("All of them, in place of those that it has.")
        .body("SetTags")
}
