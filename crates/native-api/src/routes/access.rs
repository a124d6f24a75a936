//! Rows: accounts, users, access keys, certificates, roles, policies, sessions.

use super::Operation::*;
use super::{Access, DONE, Method, Route, Success, json, page};
use crate::ErrorCode::{AlreadyExists, InUse, InvalidParameter, LimitExceeded, NotFound};

const ACCOUNT: &[Success] = &[json(200, "Account", "The account as it is now.")];
const USER: &[Success] = &[json(200, "User", "The user as it is now.")];
const ROLE: &[Success] = &[json(200, "Role", "The role as it is now.")];
const POLICY: &[Success] = &[json(200, "Policy", "The policy as it is now.")];

/// The rows.
pub(super) const ROWS: &[Route] = &[
    Route::new(Method::Post, "/v1/accounts", CreateAccount, "Makes an account", &[json(201, "Account", "The account.")])
        .access(Access::Operator)
        .body("CreateAccount")
        .codes_of_its_own(&[AlreadyExists]),
    Route::new(Method::Get, "/v1/accounts", ListAccounts, "Lists accounts", &[page("Account", "Accounts in the order of their ids.")])
        .access(Access::Operator)
        .query("PageQuery"),
    Route::new(Method::Get, "/v1/accounts/{account_id}", GetAccount, "Shows an account", ACCOUNT).access(Access::Operator),
    Route::new(Method::Patch, "/v1/accounts/{account_id}", UpdateAccount, "Changes an account", ACCOUNT)
        .access(Access::Operator)
        .body("UpdateAccount")
        .codes_of_its_own(&[AlreadyExists, InvalidParameter]),
    Route::new(Method::Delete, "/v1/accounts/{account_id}", DeleteAccount, "Deletes an account", &[DONE])
        .about("Its users, keys, certificates, roles and policies go with it; instances, images, volumes and networks of its own must be gone.")
        .access(Access::Operator)
        .codes_of_its_own(&[InUse, InvalidParameter]),
    Route::new(Method::Post, "/v1/users", CreateUser, "Makes a user", &[json(201, "User", "The user, who may do nothing yet.")])
        .body("CreateUser")
        .codes_of_its_own(&[AlreadyExists, LimitExceeded]),
    Route::new(Method::Get, "/v1/users", ListUsers, "Lists users", &[page("User", "Users by name.")]).query("PageQuery"),
    Route::new(Method::Get, "/v1/users/{user_name}", GetUser, "Shows a user", USER),
    Route::new(Method::Delete, "/v1/users/{user_name}", DeleteUser, "Deletes a user", &[DONE])
        .about("Its access keys go with it."),
    Route::new(Method::Put, "/v1/users/{user_name}/policies/{policy_name}", AttachUserPolicy, "Attaches a policy to a user", USER)
        .codes_of_its_own(&[LimitExceeded]),
    Route::new(Method::Delete, "/v1/users/{user_name}/policies/{policy_name}", DetachUserPolicy, "Detaches a policy from a user", USER),
    Route::new(Method::Post, "/v1/access-keys", CreateAccessKey, "Makes an access key", &[json(201, "NewAccessKey", "The access key with its secret, which is shown here only.")])
        .body("CreateAccessKey")
        .codes_of_its_own(&[NotFound, LimitExceeded]),
    Route::new(Method::Get, "/v1/access-keys", ListAccessKeys, "Lists access keys", &[page("AccessKey", "Access keys, the account's own first, then by their users.")])
        .query("AccessKeyQuery"),
    Route::new(Method::Patch, "/v1/access-keys/{access_key_id}", UpdateAccessKey, "Activates or deactivates an access key", &[json(200, "AccessKey", "The access key as it is now.")])
        .body("UpdateAccessKey"),
    Route::new(Method::Delete, "/v1/access-keys/{access_key_id}", DeleteAccessKey, "Deletes an access key", &[DONE]),
    Route::new(Method::Post, "/v1/certificates", UploadCertificate, "Registers an X.509 certificate", &[json(201, "Certificate", "The certificate.")])
        .about(
            "Requests of EC2's API by SOAP that its private key signed are the account's own from then on. The key has to be \
             RSA. No two accounts have the same certificate; issuer and dates are not looked at.",
        )
        .body("UploadCertificate")
        .codes_of_its_own(&[AlreadyExists, InvalidParameter, LimitExceeded]),
    Route::new(Method::Get, "/v1/certificates", ListCertificates, "Lists certificates", &[page("Certificate", "Certificates by their fingerprints.")])
        .query("PageQuery"),
    Route::new(Method::Delete, "/v1/certificates/{fingerprint}", DeleteCertificate, "Deletes a certificate", &[DONE])
        .about("What its key signs is refused from then on."),
    Route::new(Method::Post, "/v1/roles", CreateRole, "Makes a role", &[json(201, "Role", "The role, which allows nothing yet.")])
        .body("CreateRole")
        .codes_of_its_own(&[AlreadyExists, InvalidParameter, LimitExceeded]),
    Route::new(Method::Get, "/v1/roles", ListRoles, "Lists roles", &[page("Role", "Roles by name.")]).query("PageQuery"),
    Route::new(Method::Get, "/v1/roles/{role_name}", GetRole, "Shows a role", ROLE),
    Route::new(Method::Patch, "/v1/roles/{role_name}", UpdateRole, "Changes a role", ROLE)
        .body("UpdateRole")
        .codes_of_its_own(&[InvalidParameter]),
    Route::new(Method::Delete, "/v1/roles/{role_name}", DeleteRole, "Deletes a role", &[DONE]).codes_of_its_own(&[InUse]),
    Route::new(Method::Put, "/v1/roles/{role_name}/policies/{policy_name}", AttachRolePolicy, "Attaches a policy to a role", ROLE)
        .codes_of_its_own(&[LimitExceeded]),
    Route::new(Method::Delete, "/v1/roles/{role_name}/policies/{policy_name}", DetachRolePolicy, "Detaches a policy from a role", ROLE),
    Route::new(Method::Post, "/v1/policies", CreatePolicy, "Makes a policy", &[json(201, "Policy", "The policy.")])
        .about("A document that is not understood whole is refused.")
        .body("CreatePolicy")
        .codes_of_its_own(&[AlreadyExists, InvalidParameter, LimitExceeded]),
    Route::new(Method::Get, "/v1/policies", ListPolicies, "Lists policies", &[page("Policy", "Policies by name, the built-in ones among them.")])
        .query("PageQuery"),
    Route::new(Method::Get, "/v1/policies/{policy_name}", GetPolicy, "Shows a policy", POLICY),
    Route::new(Method::Patch, "/v1/policies/{policy_name}", UpdatePolicy, "Changes a policy", POLICY)
        .body("UpdatePolicy")
        .codes_of_its_own(&[InvalidParameter]),
    Route::new(Method::Delete, "/v1/policies/{policy_name}", DeletePolicy, "Deletes a policy", &[DONE])
        .codes_of_its_own(&[InUse, InvalidParameter]),
    Route::new(Method::Post, "/v1/sessions", CreateSession, "Assumes a role", &[json(201, "Session", "Temporary credentials, which are shown here only.")])
        .about("Whoever the role's trust policy allows.")
        .access(Access::Caller)
        .body("CreateSession")
        .codes_of_its_own(&[InvalidParameter, NotFound]),
    Route::new(Method::Get, "/v1/caller", GetCaller, "Who calls", &[json(200, "Caller", "Who the credentials belong to.")])
        .access(Access::Caller),
];
