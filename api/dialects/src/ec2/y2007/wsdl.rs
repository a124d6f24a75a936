//! The WSDL of version 2007-03-01: SOAP 1.1, document/literal. Made of the tables below, with a row for each type, in the order
//! in which its elements come. What is asked and answered is valid by it.

use std::fmt::Write;

use super::super::xml::escaped;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2007-03-01/";

/// Types: the name, and the elements in their order as `NAME:TYPE`. `?` behind a name is for one that may be left out, `*` for
/// one that comes any number of times. Elements after a `|` are a choice with the one before. `TYPE` without a colon is one of
/// XML Schema's, which begin small.
#[rustfmt::skip]
const TYPES: &[(&str, &str)] = &[
    ("RegisterImageType", "imageLocation:string"),
    ("RegisterImageResponseType", "imageId:string"),
    ("DeregisterImageType", "imageId:string"),
    ("DeregisterImageResponseType", "return:boolean"),
    ("CreateKeyPairType", "keyName:string"),
    ("CreateKeyPairResponseType", "keyName:string keyFingerprint:string keyMaterial:string"),
    ("DeleteKeyPairType", "keyName:string"),
    ("DeleteKeyPairResponseType", "return:boolean"),
    ("DescribeKeyPairsType", "keySet:DescribeKeyPairsInfoType"),
    ("DescribeKeyPairsInfoType", "item*:DescribeKeyPairsItemType"),
    ("DescribeKeyPairsItemType", "keyName:string"),
    ("DescribeKeyPairsResponseType", "keySet:DescribeKeyPairsResponseInfoType"),
    ("DescribeKeyPairsResponseInfoType", "item*:DescribeKeyPairsResponseItemType"),
    ("DescribeKeyPairsResponseItemType", "keyName:string keyFingerprint:string"),
    ("RunInstancesType", "instancesSet:RunInstancesInfoType groupSet:GroupSetType additionalInfo?:string \
                          userData?:UserDataType addressingType?:string"),
    ("RunInstancesInfoType", "item*:RunInstanceItemType"),
    ("RunInstanceItemType", "imageId:string minCount:int maxCount:int keyName?:string"),
    ("GroupSetType", "item*:GroupItemType"),
    ("GroupItemType", "groupId:string"),
    ("UserDataType", "data:string @version @encoding"),
    ("RunInstancesResponseType", "reservationId:string ownerId:string groupSet:GroupSetType \
                                  instancesSet:RunningInstancesSetType"),
    ("ReservationInfoType", "reservationId:string ownerId:string groupSet:GroupSetType \
                             instancesSet:RunningInstancesSetType"),
    ("RunningInstancesSetType", "item*:RunningInstancesItemType"),
    ("RunningInstancesItemType", "instanceId:string imageId:string instanceState:InstanceStateType \
                                  privateDnsName:string dnsName:string reason?:string keyName?:string \
                                  amiLaunchIndex?:string productCodes?:ProductCodesSetType"),
    ("InstanceStateType", "code:int name:string"),
    ("ProductCodesSetType", "item*:ProductCodeItemType"),
    ("ProductCodeItemType", "productCode:string"),
    ("GetConsoleOutputType", "instanceId:string"),
    ("GetConsoleOutputResponseType", "instanceId:string timestamp:dateTime output:string"),
    ("TerminateInstancesType", "instancesSet:InstanceIdSetType"),
    ("InstanceIdSetType", "item*:InstanceIdType"),
    ("InstanceIdType", "instanceId:string"),
    ("TerminateInstancesResponseType", "instancesSet:TerminateInstancesResponseInfoType"),
    ("TerminateInstancesResponseInfoType", "item*:TerminateInstancesResponseItemType"),
    ("TerminateInstancesResponseItemType", "instanceId:string shutdownState:InstanceStateType \
                                            previousState:InstanceStateType"),
    ("RebootInstancesType", "instancesSet:InstanceIdSetType"),
    ("RebootInstancesResponseType", "return:boolean"),
    ("DescribeInstancesType", "instancesSet:InstanceIdSetType"),
    ("DescribeInstancesResponseType", "reservationSet:ReservationSetType"),
    ("ReservationSetType", "item*:ReservationInfoType"),
    ("DescribeImagesType", "executableBySet?:DescribeImagesExecutableBySetType imagesSet:DescribeImagesInfoType \
                            ownersSet?:DescribeImagesOwnersType"),
    ("DescribeImagesExecutableBySetType", "item*:DescribeImagesExecutableByType"),
    ("DescribeImagesExecutableByType", "user:string"),
    ("DescribeImagesInfoType", "item*:DescribeImagesItemType"),
    ("DescribeImagesItemType", "imageId:string"),
    ("DescribeImagesOwnersType", "item*:DescribeImagesOwnerType"),
    ("DescribeImagesOwnerType", "owner:string"),
    ("DescribeImagesResponseType", "imagesSet:DescribeImagesResponseInfoType"),
    ("DescribeImagesResponseInfoType", "item*:DescribeImagesResponseItemType"),
    ("DescribeImagesResponseItemType", "imageId:string imageLocation:string imageState:string imageOwnerId:string \
                                        isPublic:boolean productCodes?:ProductCodesSetType"),
    ("CreateSecurityGroupType", "groupName:string groupDescription:string"),
    ("CreateSecurityGroupResponseType", "return:boolean"),
    ("DeleteSecurityGroupType", "groupName:string"),
    ("DeleteSecurityGroupResponseType", "return:boolean"),
    ("DescribeSecurityGroupsType", "securityGroupSet:DescribeSecurityGroupsSetType"),
    ("DescribeSecurityGroupsSetType", "item*:DescribeSecurityGroupsSetItemType"),
    ("DescribeSecurityGroupsSetItemType", "groupName:string"),
    ("DescribeSecurityGroupsResponseType", "securityGroupInfo:SecurityGroupSetType"),
    ("SecurityGroupSetType", "item*:SecurityGroupItemType"),
    ("SecurityGroupItemType", "ownerId:string groupName:string groupDescription:string \
                               ipPermissions:IpPermissionSetType"),
    ("IpPermissionSetType", "item*:IpPermissionType"),
    ("IpPermissionType", "ipProtocol:string fromPort:int toPort:int groups:UserIdGroupPairSetType \
                          ipRanges:IpRangeSetType"),
    ("UserIdGroupPairSetType", "item*:UserIdGroupPairType"),
    ("UserIdGroupPairType", "userId:string groupName:string"),
    ("IpRangeSetType", "item*:IpRangeItemType"),
    ("IpRangeItemType", "cidrIp:string"),
    ("AuthorizeSecurityGroupIngressType", "userId?:string groupName:string ipPermissions:IpPermissionSetType"),
    ("AuthorizeSecurityGroupIngressResponseType", "return:boolean"),
    ("RevokeSecurityGroupIngressType", "userId?:string groupName:string ipPermissions:IpPermissionSetType"),
    ("RevokeSecurityGroupIngressResponseType", "return:boolean"),
    ("ModifyImageAttributeType", "imageId:string launchPermission:LaunchPermissionOperationType \
                                  | productCodes:ProductCodeListType"),
    ("ModifyImageAttributeResponseType", "return:boolean"),
    ("LaunchPermissionOperationType", "add:LaunchPermissionListType | remove:LaunchPermissionListType"),
    ("LaunchPermissionListType", "item*:LaunchPermissionItemType"),
    ("LaunchPermissionItemType", "group:string | userId:string"),
    ("ProductCodeListType", "item*:ProductCodeItemType"),
    ("DescribeImageAttributeType", "imageId:string launchPermission:EmptyElementType | productCodes:EmptyElementType"),
    ("DescribeImageAttributeResponseType", "imageId:string launchPermission:LaunchPermissionListType \
                                            | productCodes:ProductCodeListType"),
    ("ResetImageAttributeType", "imageId:string launchPermission:EmptyElementType"),
    ("ResetImageAttributeResponseType", "return:boolean"),
    ("EmptyElementType", ""),
    ("ConfirmProductInstanceType", "productCode:string instanceId:string"),
    ("ConfirmProductInstanceResponseType", "return:boolean ownerId?:string"),
];

/// The WSDL of a service at this address, as an element.
pub fn written(address: &str) -> String {
    let mut types = String::new();
    for (name, elements) in TYPES {
        type_of(&mut types, name, elements);
    }
    let (mut messages, mut operations, mut bindings) = (String::new(), String::new(), String::new());
    for row in super::ROWS {
        operation(row.name, &mut types, &mut messages, &mut operations, &mut bindings);
    }
    let address = escaped(address).replace('"', "&quot;");
    format!(
        "<wsdl:definitions xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" xmlns:tns=\"{NAMESPACE}\" targetNamespace=\"{NAMESPACE}\">\n\
         <wsdl:types><xs:schema targetNamespace=\"{NAMESPACE}\" elementFormDefault=\"qualified\" \
         attributeFormDefault=\"unqualified\">\n{types}</xs:schema></wsdl:types>\n{messages}\
         <wsdl:portType name=\"AmazonEC2PortType\">\n{operations}</wsdl:portType>\n\
         <wsdl:binding name=\"AmazonEC2Binding\" type=\"tns:AmazonEC2PortType\"><soap:binding style=\"document\" \
         transport=\"http://schemas.xmlsoap.org/soap/http\"/>\n{bindings}</wsdl:binding>\n\
         <wsdl:service name=\"AmazonEC2\"><wsdl:port name=\"AmazonEC2Port\" binding=\"tns:AmazonEC2Binding\">\
         <soap:address location=\"{address}\"/></wsdl:port></wsdl:service>\n</wsdl:definitions>"
    )
}

/// Adds a type.
fn type_of(out: &mut String, name: &str, elements: &str) {
    let words: Vec<&str> = elements.split_whitespace().collect();
    let mut sequence = String::new();
    let mut attributes = String::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        if let Some(attribute) = word.strip_prefix('@') {
            let _ = write!(
                attributes,
                "<xs:attribute name=\"{attribute}\" type=\"xs:string\" use=\"required\"/>"
            );
        } else if words.get(index + 1) == Some(&"|") {
            sequence.push_str("<xs:choice>");
            element(&mut sequence, word);
            while words.get(index + 1) == Some(&"|") {
                index += 2;
                element(&mut sequence, words.get(index).copied().unwrap_or_default());
            }
            sequence.push_str("</xs:choice>");
        } else {
            element(&mut sequence, word);
        }
        index += 1;
    }
    let _ = writeln!(
        out,
        "<xs:complexType name=\"{name}\"><xs:sequence>{sequence}</xs:sequence>{attributes}</xs:complexType>"
    );
}

fn element(out: &mut String, word: &str) {
    let (name, kind) = word.split_once(':').expect("the table says a type for each");
    let (name, occurs) = match (name.strip_suffix('?'), name.strip_suffix('*')) {
        (Some(name), _) => (name, " minOccurs=\"0\""),
        (None, Some(name)) => (name, " minOccurs=\"0\" maxOccurs=\"unbounded\""),
        (None, None) => (name, ""),
    };
    let space = if kind.starts_with(|first: char| first.is_ascii_lowercase()) { "xs" } else { "tns" };
    let _ = write!(out, "<xs:element name=\"{name}\" type=\"{space}:{kind}\"{occurs}/>");
}

/// Adds an action: its two elements and messages, and where they come and go.
fn operation(
    name: &str,
    types: &mut String,
    messages: &mut String,
    operations: &mut String,
    bindings: &mut String,
) {
    for (element, message) in [(name.to_owned(), "Request"), (format!("{name}Response"), "Response")] {
        let _ = writeln!(types, "<xs:element name=\"{element}\" type=\"tns:{element}Type\"/>");
        let _ = writeln!(
            messages,
            "<wsdl:message name=\"{name}{message}Msg\"><wsdl:part name=\"{name}{message}Msg\" element=\"tns:{element}\"/>\
             </wsdl:message>"
        );
    }
    let _ = writeln!(
        operations,
        "<wsdl:operation name=\"{name}\"><wsdl:input message=\"tns:{name}RequestMsg\"/>\
         <wsdl:output message=\"tns:{name}ResponseMsg\"/></wsdl:operation>"
    );
    let _ = writeln!(
        bindings,
        "<wsdl:operation name=\"{name}\"><soap:operation soapAction=\"{name}\"/><wsdl:input><soap:body use=\"literal\"/>\
         </wsdl:input><wsdl:output><soap:body use=\"literal\"/></wsdl:output></wsdl:operation>"
    );
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::super::soap::document::Document;
    use super::super::shapes::SHAPES;
    use super::*;

    /// The elements of a type, with their types.
    fn elements(name: &str) -> HashMap<&'static str, &'static str> {
        let (_, elements) =
            TYPES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        let pairs = elements.split_whitespace().filter_map(|word| word.split_once(':'));
        pairs.map(|(name, kind)| (name.trim_end_matches(['?', '*']), kind)).collect()
    }

    #[test]
    fn it_is_whole() {
        let text = written("http://host:1/?a&b");
        let document = Document::read(&text).unwrap();
        assert!(text.contains("location=\"http://host:1/?a&amp;b\""), "{text}");
        let all = document.root().all();
        let count = |name: &str| all.iter().filter(|element| element.name() == name).count();
        assert_eq!((count("message"), count("complexType")), (40, TYPES.len()));
        let names: HashSet<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), TYPES.len());
        for kind in TYPES.iter().flat_map(|(name, _)| elements(name).into_values().collect::<Vec<_>>()) {
            assert!(names.contains(kind) || kind.starts_with(|first: char| first.is_lowercase()), "{kind}");
        }
    }

    #[test]
    fn whatever_is_read_of_a_request_is_in_it() {
        // The one name that manuals have besides the WSDL's, and an attribute that can be asked for but not reset.
        let besides = ["imageSet/item/imageId", "productCodes"];
        for shape in SHAPES {
            for (path, _) in shape.soap {
                let mut kind = format!("{}Type", shape.action);
                for name in path.split('/') {
                    match elements(&kind).get(name) {
                        Some(next) => kind = (*next).to_owned(),
                        None => {
                            assert!(besides.contains(path), "{} {path}", shape.action);
                            break;
                        }
                    }
                }
            }
        }
    }
}
