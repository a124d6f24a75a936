//! Methods: accounts, users, access keys, certificates, roles, policies, sessions.

use super::{Client, ClientError, NOTHING};
use crate::{
    AccessKey, AccessKeyId, AccessKeyQuery, Account, AccountId, Caller, Certificate, CreateAccessKey,
    CreateAccount, CreatePolicy, CreateRole, CreateSession, CreateUser, NewAccessKey, Operation, Page,
    PageQuery, Policy, PrincipalName, Role, Session, Sha256, UpdateAccessKey, UpdateAccount, UpdatePolicy,
    UpdateRole, UploadCertificate, User,
};

impl Client {
    /// Makes an account.
    pub async fn create_account(&self, request: &CreateAccount) -> Result<Account, ClientError> {
        self.call(Operation::CreateAccount, &[], NOTHING, Some(request)).await
    }

    /// Lists accounts.
    pub async fn list_accounts(&self, query: &PageQuery) -> Result<Page<Account>, ClientError> {
        self.call(Operation::ListAccounts, &[], Some(query), NOTHING).await
    }

    /// Shows an account.
    pub async fn get_account(&self, id: &AccountId) -> Result<Account, ClientError> {
        self.call(Operation::GetAccount, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Changes an account.
    pub async fn update_account(
        &self,
        id: &AccountId,
        request: &UpdateAccount,
    ) -> Result<Account, ClientError> {
        self.call(Operation::UpdateAccount, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes an account.
    pub async fn delete_account(&self, id: &AccountId) -> Result<(), ClientError> {
        self.call(Operation::DeleteAccount, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Makes a user.
    pub async fn create_user(&self, request: &CreateUser) -> Result<User, ClientError> {
        self.call(Operation::CreateUser, &[], NOTHING, Some(request)).await
    }

    /// Lists users.
    pub async fn list_users(&self, query: &PageQuery) -> Result<Page<User>, ClientError> {
        self.call(Operation::ListUsers, &[], Some(query), NOTHING).await
    }

    /// Shows a user.
    pub async fn get_user(&self, name: &PrincipalName) -> Result<User, ClientError> {
        self.call(Operation::GetUser, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Deletes a user.
    pub async fn delete_user(&self, name: &PrincipalName) -> Result<(), ClientError> {
        self.call(Operation::DeleteUser, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Attaches a policy to a user.
    pub async fn attach_user_policy(
        &self,
        user: &PrincipalName,
        policy: &PrincipalName,
    ) -> Result<User, ClientError> {
        self.call(Operation::AttachUserPolicy, &[user.as_str(), policy.as_str()], NOTHING, NOTHING).await
    }

    /// Detaches a policy from a user.
    pub async fn detach_user_policy(
        &self,
        user: &PrincipalName,
        policy: &PrincipalName,
    ) -> Result<User, ClientError> {
        self.call(Operation::DetachUserPolicy, &[user.as_str(), policy.as_str()], NOTHING, NOTHING).await
    }

    /// Makes an access key.
    pub async fn create_access_key(&self, request: &CreateAccessKey) -> Result<NewAccessKey, ClientError> {
        self.call(Operation::CreateAccessKey, &[], NOTHING, Some(request)).await
    }

    /// Lists access keys.
    pub async fn list_access_keys(&self, query: &AccessKeyQuery) -> Result<Page<AccessKey>, ClientError> {
        self.call(Operation::ListAccessKeys, &[], Some(query), NOTHING).await
    }

    /// Activates or deactivates an access key.
    pub async fn update_access_key(
        &self,
        id: &AccessKeyId,
        request: &UpdateAccessKey,
    ) -> Result<AccessKey, ClientError> {
        self.call(Operation::UpdateAccessKey, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes an access key.
    pub async fn delete_access_key(&self, id: &AccessKeyId) -> Result<(), ClientError> {
        self.call(Operation::DeleteAccessKey, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Registers a certificate.
    pub async fn upload_certificate(&self, request: &UploadCertificate) -> Result<Certificate, ClientError> {
        self.call(Operation::UploadCertificate, &[], NOTHING, Some(request)).await
    }

    /// Lists certificates.
    pub async fn list_certificates(&self, query: &PageQuery) -> Result<Page<Certificate>, ClientError> {
        self.call(Operation::ListCertificates, &[], Some(query), NOTHING).await
    }

    /// Deletes a certificate.
    pub async fn delete_certificate(&self, fingerprint: &Sha256) -> Result<(), ClientError> {
        self.call(Operation::DeleteCertificate, &[fingerprint.as_str()], NOTHING, NOTHING).await
    }

    /// Makes a role.
    pub async fn create_role(&self, request: &CreateRole) -> Result<Role, ClientError> {
        self.call(Operation::CreateRole, &[], NOTHING, Some(request)).await
    }

    /// Lists roles.
    pub async fn list_roles(&self, query: &PageQuery) -> Result<Page<Role>, ClientError> {
        self.call(Operation::ListRoles, &[], Some(query), NOTHING).await
    }

    /// Shows a role.
    pub async fn get_role(&self, name: &PrincipalName) -> Result<Role, ClientError> {
        self.call(Operation::GetRole, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Changes a role.
    pub async fn update_role(&self, name: &PrincipalName, request: &UpdateRole) -> Result<Role, ClientError> {
        self.call(Operation::UpdateRole, &[name.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a role.
    pub async fn delete_role(&self, name: &PrincipalName) -> Result<(), ClientError> {
        self.call(Operation::DeleteRole, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Attaches a policy to a role.
    pub async fn attach_role_policy(
        &self,
        role: &PrincipalName,
        policy: &PrincipalName,
    ) -> Result<Role, ClientError> {
        self.call(Operation::AttachRolePolicy, &[role.as_str(), policy.as_str()], NOTHING, NOTHING).await
    }

    /// Detaches a policy from a role.
    pub async fn detach_role_policy(
        &self,
        role: &PrincipalName,
        policy: &PrincipalName,
    ) -> Result<Role, ClientError> {
        self.call(Operation::DetachRolePolicy, &[role.as_str(), policy.as_str()], NOTHING, NOTHING).await
    }

    /// Makes a policy.
    pub async fn create_policy(&self, request: &CreatePolicy) -> Result<Policy, ClientError> {
        self.call(Operation::CreatePolicy, &[], NOTHING, Some(request)).await
    }

    /// Lists policies.
    pub async fn list_policies(&self, query: &PageQuery) -> Result<Page<Policy>, ClientError> {
        self.call(Operation::ListPolicies, &[], Some(query), NOTHING).await
    }

    /// Shows a policy.
    pub async fn get_policy(&self, name: &PrincipalName) -> Result<Policy, ClientError> {
        self.call(Operation::GetPolicy, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Changes a policy.
    pub async fn update_policy(
        &self,
        name: &PrincipalName,
        request: &UpdatePolicy,
    ) -> Result<Policy, ClientError> {
        self.call(Operation::UpdatePolicy, &[name.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a policy.
    pub async fn delete_policy(&self, name: &PrincipalName) -> Result<(), ClientError> {
        self.call(Operation::DeletePolicy, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Assumes a role.
    pub async fn create_session(&self, request: &CreateSession) -> Result<Session, ClientError> {
        self.call(Operation::CreateSession, &[], NOTHING, Some(request)).await
    }

    /// Who calls.
    pub async fn get_caller(&self) -> Result<Caller, ClientError> {
        self.call(Operation::GetCaller, &[], NOTHING, NOTHING).await
    }
}
