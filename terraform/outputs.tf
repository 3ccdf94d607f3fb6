output "address" {
  description = "The fixed address"
  value       = aws_cloudformation_stack.node.outputs["Address"]
}

output "admin_secret" {
  description = "Where the admin key is"
  value       = aws_cloudformation_stack.node.outputs["AdminSecret"]
}

output "alarm_topic_arn" {
  description = "Told of a backup that failed"
  value       = aws_cloudformation_stack.node.outputs["AlarmTopicArn"]
}

output "backup_machine_arn" {
  description = "Makes a backup on a message"
  value       = aws_cloudformation_stack.node.outputs["BackupMachineArn"]
}

output "client_rule" {
  description = "What the groups of clients must let out, where they do not let out everything"
  value       = aws_cloudformation_stack.node.outputs["ClientRule"]
}

output "document" {
  description = "The SSM document that runs verbs on the node"
  value       = aws_cloudformation_stack.node.outputs["Document"]
}

output "grpc_url" {
  description = "For clients that expect gRPC on a port of its own"
  value       = aws_cloudformation_stack.node.outputs["GrpcUrl"]
}

output "index_policy_arn" {
  description = "For the role of the machines that index"
  value       = aws_cloudformation_stack.node.outputs["IndexPolicyArn"]
}

output "index_secret" {
  description = "Where the index key is"
  value       = aws_cloudformation_stack.node.outputs["IndexSecret"]
}

output "instance_id" {
  description = "The machine"
  value       = aws_cloudformation_stack.node.outputs["InstanceId"]
}

output "interface_id" {
  description = "The network interface that holds the address"
  value       = aws_cloudformation_stack.node.outputs["InterfaceId"]
}

output "search_policy_arn" {
  description = "For the role of the machines that search"
  value       = aws_cloudformation_stack.node.outputs["SearchPolicyArn"]
}

output "search_secret" {
  description = "Where the search key is"
  value       = aws_cloudformation_stack.node.outputs["SearchSecret"]
}

output "security_group_id" {
  description = "The security group of the node"
  value       = aws_cloudformation_stack.node.outputs["SecurityGroupId"]
}

output "url" {
  description = "REST and gRPC"
  value       = aws_cloudformation_stack.node.outputs["Url"]
}

output "volume_id" {
  description = "The volume that holds the data"
  value       = aws_cloudformation_stack.node.outputs["VolumeId"]
}
