resource "aws_cloudformation_stack" "node" {
  name              = coalesce(var.stack, var.node)
  template_body     = file(var.template_file)
  capabilities      = ["CAPABILITY_IAM"]
  on_failure        = "ROLLBACK"
  notification_arns = var.notification_arns
  tags              = merge(var.tags, { "qmoor:node" = var.node })

  timeouts {
    create = var.timeout
    update = var.timeout
    delete = var.timeout
  }
}
