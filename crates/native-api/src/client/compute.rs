//! Methods: instances, reservations, instance types, images, volumes, snapshots, key pairs.

use super::{Client, ClientError, NOTHING};
use crate::{
    AttachVolume, CreateImage, CreateKeyPair, CreateSnapshot, CreateVolume, Force, Image, ImageId,
    ImageQuery, ImportImage, ImportKeyPair, Instance, InstanceId, InstanceMetrics, InstanceQuery,
    InstanceType, InstanceTypeName, InstanceUserData, Job, KeyPair, KeyPairId, LaunchRequest, Launched,
    NewKeyPair, Operation, Page, PageQuery, Rename, Renew, Reservation, ReservationId, SetTags, Snapshot,
    SnapshotId, SnapshotQuery, UpdateImage, UpdateInstance, UpdateVolume, Volume, VolumeId, VolumeQuery,
};

impl Client {
    /// Launches instances.
    pub async fn launch_instances(&self, request: &LaunchRequest) -> Result<Launched, ClientError> {
        self.call(Operation::LaunchInstances, &[], NOTHING, Some(request)).await
    }

    /// Lists instances.
    pub async fn list_instances(&self, query: &InstanceQuery) -> Result<Page<Instance>, ClientError> {
        self.call(Operation::ListInstances, &[], Some(query), NOTHING).await
    }

    /// Shows an instance.
    pub async fn get_instance(&self, id: &InstanceId) -> Result<Instance, ClientError> {
        self.call(Operation::GetInstance, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Changes an instance.
    pub async fn update_instance(
        &self,
        id: &InstanceId,
        request: &UpdateInstance,
    ) -> Result<Instance, ClientError> {
        self.call(Operation::UpdateInstance, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Terminates an instance.
    pub async fn terminate_instance(&self, id: &InstanceId) -> Result<Instance, ClientError> {
        self.call(Operation::TerminateInstance, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Starts an instance.
    pub async fn start_instance(&self, id: &InstanceId) -> Result<Instance, ClientError> {
        self.call(Operation::StartInstance, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Stops an instance.
    pub async fn stop_instance(&self, id: &InstanceId, request: &Force) -> Result<Instance, ClientError> {
        self.call(Operation::StopInstance, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Reboots an instance.
    pub async fn reboot_instance(&self, id: &InstanceId, request: &Force) -> Result<Instance, ClientError> {
        self.call(Operation::RebootInstance, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Renews a subscription.
    pub async fn renew_instance(&self, id: &InstanceId, request: &Renew) -> Result<Instance, ClientError> {
        self.call(Operation::RenewInstance, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// What an instance uses.
    pub async fn get_instance_metrics(&self, id: &InstanceId) -> Result<InstanceMetrics, ClientError> {
        self.call(Operation::GetInstanceMetrics, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Shows an instance's user data.
    pub async fn get_user_data(&self, id: &InstanceId) -> Result<InstanceUserData, ClientError> {
        self.call(Operation::GetUserData, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_instance_tags(
        &self,
        id: &InstanceId,
        request: &SetTags,
    ) -> Result<Instance, ClientError> {
        self.call(Operation::SetInstanceTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Lists launches.
    pub async fn list_reservations(&self, query: &PageQuery) -> Result<Page<Reservation>, ClientError> {
        self.call(Operation::ListReservations, &[], Some(query), NOTHING).await
    }

    /// Shows a launch.
    pub async fn get_reservation(&self, id: &ReservationId) -> Result<Reservation, ClientError> {
        self.call(Operation::GetReservation, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Lists instance types.
    pub async fn list_instance_types(&self, query: &PageQuery) -> Result<Page<InstanceType>, ClientError> {
        self.call(Operation::ListInstanceTypes, &[], Some(query), NOTHING).await
    }

    /// Shows an instance type.
    pub async fn get_instance_type(&self, name: &InstanceTypeName) -> Result<InstanceType, ClientError> {
        self.call(Operation::GetInstanceType, &[name.as_str()], NOTHING, NOTHING).await
    }

    /// Makes an image of files on the host.
    pub async fn import_image(&self, request: &ImportImage) -> Result<Job, ClientError> {
        self.call(Operation::ImportImage, &[], NOTHING, Some(request)).await
    }

    /// Makes an image of a snapshot.
    pub async fn create_image(&self, request: &CreateImage) -> Result<Job, ClientError> {
        self.call(Operation::CreateImage, &[], NOTHING, Some(request)).await
    }

    /// Lists images.
    pub async fn list_images(&self, query: &ImageQuery) -> Result<Page<Image>, ClientError> {
        self.call(Operation::ListImages, &[], Some(query), NOTHING).await
    }

    /// Shows an image.
    pub async fn get_image(&self, id: &ImageId) -> Result<Image, ClientError> {
        self.call(Operation::GetImage, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Changes an image.
    pub async fn update_image(&self, id: &ImageId, request: &UpdateImage) -> Result<Image, ClientError> {
        self.call(Operation::UpdateImage, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Removes an image.
    pub async fn deregister_image(&self, id: &ImageId) -> Result<(), ClientError> {
        self.call(Operation::DeregisterImage, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_image_tags(&self, id: &ImageId, request: &SetTags) -> Result<Image, ClientError> {
        self.call(Operation::SetImageTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Makes a volume.
    pub async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, ClientError> {
        self.call(Operation::CreateVolume, &[], NOTHING, Some(request)).await
    }

    /// Lists volumes.
    pub async fn list_volumes(&self, query: &VolumeQuery) -> Result<Page<Volume>, ClientError> {
        self.call(Operation::ListVolumes, &[], Some(query), NOTHING).await
    }

    /// Shows a volume.
    pub async fn get_volume(&self, id: &VolumeId) -> Result<Volume, ClientError> {
        self.call(Operation::GetVolume, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Changes a volume.
    pub async fn update_volume(&self, id: &VolumeId, request: &UpdateVolume) -> Result<Volume, ClientError> {
        self.call(Operation::UpdateVolume, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Attaches a volume to an instance.
    pub async fn attach_volume(&self, id: &VolumeId, request: &AttachVolume) -> Result<Volume, ClientError> {
        self.call(Operation::AttachVolume, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Detaches a volume.
    pub async fn detach_volume(&self, id: &VolumeId, request: &Force) -> Result<Volume, ClientError> {
        self.call(Operation::DetachVolume, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a volume.
    pub async fn delete_volume(&self, id: &VolumeId) -> Result<(), ClientError> {
        self.call(Operation::DeleteVolume, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_volume_tags(&self, id: &VolumeId, request: &SetTags) -> Result<Volume, ClientError> {
        self.call(Operation::SetVolumeTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Makes a snapshot of a volume.
    pub async fn create_snapshot(&self, request: &CreateSnapshot) -> Result<Snapshot, ClientError> {
        self.call(Operation::CreateSnapshot, &[], NOTHING, Some(request)).await
    }

    /// Lists snapshots.
    pub async fn list_snapshots(&self, query: &SnapshotQuery) -> Result<Page<Snapshot>, ClientError> {
        self.call(Operation::ListSnapshots, &[], Some(query), NOTHING).await
    }

    /// Shows a snapshot.
    pub async fn get_snapshot(&self, id: &SnapshotId) -> Result<Snapshot, ClientError> {
        self.call(Operation::GetSnapshot, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Renames a snapshot.
    pub async fn update_snapshot(&self, id: &SnapshotId, request: &Rename) -> Result<Snapshot, ClientError> {
        self.call(Operation::UpdateSnapshot, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a snapshot.
    pub async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), ClientError> {
        self.call(Operation::DeleteSnapshot, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_snapshot_tags(
        &self,
        id: &SnapshotId,
        request: &SetTags,
    ) -> Result<Snapshot, ClientError> {
        self.call(Operation::SetSnapshotTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Makes a key pair.
    pub async fn create_key_pair(&self, request: &CreateKeyPair) -> Result<NewKeyPair, ClientError> {
        self.call(Operation::CreateKeyPair, &[], NOTHING, Some(request)).await
    }

    /// Imports a public key.
    pub async fn import_key_pair(&self, request: &ImportKeyPair) -> Result<KeyPair, ClientError> {
        self.call(Operation::ImportKeyPair, &[], NOTHING, Some(request)).await
    }

    /// Lists key pairs.
    pub async fn list_key_pairs(&self, query: &PageQuery) -> Result<Page<KeyPair>, ClientError> {
        self.call(Operation::ListKeyPairs, &[], Some(query), NOTHING).await
    }

    /// Shows a key pair.
    pub async fn get_key_pair(&self, id: &KeyPairId) -> Result<KeyPair, ClientError> {
        self.call(Operation::GetKeyPair, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Deletes a key pair.
    pub async fn delete_key_pair(&self, id: &KeyPairId) -> Result<(), ClientError> {
        self.call(Operation::DeleteKeyPair, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_key_pair_tags(&self, id: &KeyPairId, request: &SetTags) -> Result<KeyPair, ClientError> {
        self.call(Operation::SetKeyPairTags, &[id.as_str()], NOTHING, Some(request)).await
    }
}
