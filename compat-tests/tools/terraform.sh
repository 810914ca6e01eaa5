#!/bin/sh
# Terraform's S3 backend with its lock file: a foreign lock is refused, and nothing is lost between two at once.
. "$(dirname "$0")/lib.sh"
need_language terraform
need aws
bucket() { aws --endpoint-url "$S3_URL" s3api "$@"; }
bucket create-bucket --bucket terraform >/dev/null
bucket put-bucket-versioning --bucket terraform --versioning-configuration Status=Enabled
export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
unset AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
cat >main.tf <<EOF
terraform {
  backend "s3" {
    bucket                      = "terraform"
    key                         = "team/state.tfstate"
    region                      = "$AWS_REGION"
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    endpoints                   = { s3 = "$S3_URL" }
  }
}
variable "said" {
  type = string
}
resource "terraform_data" "kept" {
  input = var.said
}
output "said" {
  value = terraform_data.kept.output
}
EOF
say "an apply, twice"
terraform init -no-color >log 2>&1 || fail "init: $(cat log)"
for said in one two; do
    terraform apply -no-color -auto-approve -var said=$said >log 2>&1 || fail "apply: $(cat log)"
    [ "$(terraform output -raw said)" = "$said" ] || fail "$said was not kept"
done
bucket head-object --bucket terraform --key team/state.tfstate.tflock >log 2>&1 && fail "the lock file stayed"

say "a foreign lock"
echo '{"ID":"11111111-2222-3333-4444-555555555555","Operation":"OperationTypeApply","Who":"somebody@else","Created":"2026-01-01T00:00:00Z"}' >lock
bucket put-object --bucket terraform --key team/state.tfstate.tflock --body lock >/dev/null
terraform apply -no-color -auto-approve -var said=three >log 2>&1 && fail "applied in spite of a foreign lock"
grep -q "Error acquiring the state lock" log || fail "$(cat log)"
grep -q "somebody@else" log || fail "the lock's owner is not named: $(cat log)"
[ "$(terraform output -raw said)" = two ] || fail "the state changed under a foreign lock"
terraform force-unlock -no-color -force 11111111-2222-3333-4444-555555555555 >log 2>&1 || fail "force-unlock: $(cat log)"

say "two at once"
for said in three four; do
    (mkdir $said && cp -r main.tf .terraform .terraform.lock.hcl $said 2>/dev/null || true
    cd $said && terraform apply -no-color -auto-approve -lock-timeout=60s -var said=$said >log 2>&1) &
done
wait
for said in three four; do
    grep -q "Apply complete" $said/log || fail "$said: $(cat $said/log)"
done
serial=$(terraform state pull | sed -n 's/.*"serial": \([0-9]*\),/\1/p')
[ "$serial" -ge 4 ] || fail "an apply was lost: serial $serial"
terraform destroy -no-color -auto-approve -var said=none >log 2>&1 || fail "destroy: $(cat log)"
