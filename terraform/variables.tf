variable "node" {
  description = "Name of the node: node.name in qmoor.toml. The tag qmoor:node, by which qmoor knows the stack as its own."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.node))
    error_message = "The name of a node is at most 64 letters, digits, dots, underscores and dashes."
  }
}

variable "stack" {
  description = "Name of the stack: aws.stack in qmoor.toml. Unless set, the name of the node."
  type        = string
  default     = null
}

variable "template_file" {
  description = "File with what `qmoor render cloudformation` printed for that qmoor.toml."
  type        = string

  validation {
    condition     = can(jsondecode(file(var.template_file)).Resources.Machine)
    error_message = "The file is not what `qmoor render cloudformation` prints (hint: without --json)."
  }
}

variable "tags" {
  description = "More tags for all that is in the stack."
  type        = map(string)
  default     = {}
}

variable "notification_arns" {
  description = "SNS topics that are told what CloudFormation does, five at most."
  type        = list(string)
  default     = []
}

variable "timeout" {
  description = "Longest wait for CloudFormation."
  type        = string
  default     = "60m"
}
