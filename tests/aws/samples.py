"""A template with each type that the emulator knows, to try it with. The product's own is rendered by qmoor."""

import json

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"

MACHINE = {
    "StartAt": "Send",
    "States": {
        "Send": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:ssm:sendCommand",
            "Parameters": {
                "DocumentName": "${Document}",
                "InstanceIds": ["${Node}"],
                "Parameters": {"batch.$": "States.Array($.detail.batch_id)"},
            },
            "ResultPath": "$.sent",
            "Next": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Ask"},
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:ssm:getCommandInvocation",
            "Parameters": {"CommandId.$": "$.sent.Command.CommandId", "InstanceId": "${Node}"},
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Tell"}],
            "ResultPath": "$.run",
            "Next": "Done?",
        },
        "Done?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.run.Status", "StringEquals": "Success", "Next": "Succeeded"},
                {"Variable": "$.run.Status", "StringEquals": "InProgress", "Next": "Wait"},
            ],
            "Default": "Tell",
        },
        "Tell": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"TopicArn": "${Topic}", "Message.$": "States.JsonToString($)"},
            "Next": "Failed",
        },
        "Failed": {"Type": "Fail", "Error": "BackupFailed"},
        "Succeeded": {"Type": "Succeed"},
    },
}

DOCUMENT = {
    "schemaVersion": "2.2",
    "description": "Say which batch",
    "parameters": {"batch": {"type": "String", "allowedPattern": "^[a-z0-9-]{1,32}$"}},
    "mainSteps": [
        {"action": "aws:runShellScript", "name": "say", "inputs": {"runCommand": ['test "{{ batch }}" = good']}}
    ],
}


def ref(name):
    return {"Ref": name}


def att(name, attribute):
    return {"Fn::GetAtt": [name, attribute]}


def sub(text):
    return {"Fn::Sub": text}


def role(*statements, **more):
    policies = [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}]
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": TRUST, "Policies": policies if statements else [], **more},
    }


def node():
    """The template, to be changed at will."""
    return {
        "Description": "A node to test with",
        "Parameters": {
            "Subnet": {"Type": "AWS::EC2::Subnet::Id"},
            "Vpc": {"Type": "AWS::EC2::VPC::Id"},
            "Ray": {"Type": "AWS::EC2::SecurityGroup::Id"},
            "Image": {"Type": "AWS::EC2::Image::Id"},
            "Address": {"Type": "String", "Default": "10.0.2.15"},
            "Kind": {"Type": "String", "Default": "c8g.large"},
            "Size": {"Type": "Number", "Default": 10, "MinValue": 1},
            "Mail": {"Type": "String", "Default": ""},
        },
        "Conditions": {"HasMail": {"Fn::Not": [{"Fn::Equals": [ref("Mail"), ""]}]}},
        "Resources": {
            "Key": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {
                    "Name": sub("${AWS::StackName}/search"),
                    "GenerateSecretString": {"PasswordLength": 40, "ExcludePunctuation": True},
                },
            },
            "Group": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {
                    "GroupDescription": "The node",
                    "VpcId": ref("Vpc"),
                    "SecurityGroupIngress": [
                        {"IpProtocol": "tcp", "FromPort": 6333, "ToPort": 6334, "SourceSecurityGroupId": ref("Ray")}
                    ],
                    "SecurityGroupEgress": [
                        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}
                    ],
                },
            },
            "Rule": {
                "Type": "AWS::EC2::SecurityGroupIngress",
                "Properties": {
                    "GroupId": att("Group", "GroupId"), "IpProtocol": "tcp", "FromPort": 9000, "ToPort": 9000,
                    "SourceSecurityGroupId": ref("Ray"),
                },
            },
            "Interface": {
                "Type": "AWS::EC2::NetworkInterface",
                "Properties": {
                    "SubnetId": ref("Subnet"), "PrivateIpAddress": ref("Address"),
                    "GroupSet": [att("Group", "GroupId")],
                    "Tags": [{"Key": "Name", "Value": sub("${AWS::StackName}-interface")}],
                },
            },
            "Volume": {
                "Type": "AWS::EC2::Volume",
                "DeletionPolicy": "Snapshot",
                "UpdateReplacePolicy": "Snapshot",
                "Properties": {
                    "AvailabilityZone": "us-east-1a", "Size": ref("Size"), "VolumeType": "gp3", "Iops": "4000",
                    "Throughput": 250, "Encrypted": "true", "Tags": [{"Key": "role", "Value": "data"}],
                },
            },
            "Role": role(
                {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": ref("Key")},
                ManagedPolicyArns=[SSM_CORE],
            ),
            "Reader": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": ref("Key")}
                        ],
                    }
                },
            },
            "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [ref("Role")]}},
            "Node": {
                "Type": "AWS::EC2::Instance",
                "Properties": {
                    "ImageId": ref("Image"), "InstanceType": ref("Kind"), "IamInstanceProfile": ref("Profile"),
                    "EbsOptimized": True,
                    "NetworkInterfaces": [{"DeviceIndex": "0", "NetworkInterfaceId": ref("Interface")}],
                    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
                    "Tags": [{"Key": "Name", "Value": sub("${AWS::StackName}-node")}],
                    "UserData": {"Fn::Base64": sub("VOLUME=${Volume} KEY=${Key}")},
                },
            },
            "Attachment": {
                "Type": "AWS::EC2::VolumeAttachment",
                "Properties": {"Device": "/dev/sdf", "InstanceId": ref("Node"), "VolumeId": ref("Volume")},
            },
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "Alarms"}},
            "Mailing": {
                "Type": "AWS::SNS::Subscription",
                "Condition": "HasMail",
                "Properties": {"TopicArn": ref("Topic"), "Protocol": "email", "Endpoint": ref("Mail")},
            },
            "Document": {"Type": "AWS::SSM::Document", "Properties": {"DocumentType": "Command", "Content": DOCUMENT}},
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": att("MachineRole", "Arn"),
                    "Definition": MACHINE,
                    "DefinitionSubstitutions": {
                        "Document": ref("Document"), "Node": ref("Node"), "Topic": ref("Topic"),
                    },
                },
            },
            "MachineRole": role(),
            "Event": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {"source": ["tests"], "detail-type": ["BatchIndexed"]},
                    "Targets": [{"Id": "machine", "Arn": ref("Machine"), "RoleArn": att("MachineRole", "Arn")}],
                },
            },
            "Alarm": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "Namespace": "AWS/EC2", "MetricName": "StatusCheckFailed", "Statistic": "Maximum", "Period": 60,
                    "EvaluationPeriods": 3, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
                    "AlarmActions": [ref("Topic")], "Dimensions": [{"Name": "InstanceId", "Value": ref("Node")}],
                },
            },
            "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
        },
        "Outputs": {
            "Address": {"Value": att("Interface", "PrimaryPrivateIpAddress"), "Description": "Where it answers"},
            "Node": {"Value": ref("Node")},
            "Volume": {"Value": ref("Volume")},
            "Machine": {"Value": ref("Machine")},
        },
    }  # fmt: skip


def text(template):
    return json.dumps(template)
