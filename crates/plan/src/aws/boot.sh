#!/bin/sh
# Gets a machine of AWS ready for the agent: volume, mount, Docker, program, unit. It runs at each boot and leaves alone
# what is as it should be. What it is to do stands in /etc/qmoor/boot.env.
set -eu

readonly PROGRAM=/usr/local/bin/qmoor
readonly LABEL=qmoor

say() { printf 'qmoor-boot: %s\n' "$1" >&2; }

fail() {
    say "$1 (hint: $2)"
    exit 1
}

# put MODE FILE: standard input becomes FILE, at once, unless it is that already.
put() {
    mkdir -p "${2%/*}"
    cat >"$2.new"
    chmod "$1" "$2.new"
    if cmp -s "$2.new" "$2"; then rm "$2.new"; else mv -f "$2.new" "$2"; fi
}

# install_package PROGRAM RPM DEB: only port 443 is open, so that packages must come over https.
install_package() {
    ! command -v "$1" >/dev/null || return 0
    say "installing $1"
    if command -v dnf >/dev/null; then
        dnf -q -y install "$2" >/dev/null && return
    elif command -v apt-get >/dev/null; then
        find /etc/apt/sources.list /etc/apt/sources.list.d -type f -exec \
            sed -i 's|http://\([a-z.-]*\.debian\.org\)|https://\1|g' {} + 2>/dev/null || true
        apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null &&
            DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
                install --no-install-recommends "$3" >/dev/null && return
    fi
    fail "cannot install $1" "use an image that has it: its package mirrors may not speak https"
}

# ---- the volume -----------------------------------------------------------------------------

# The kernel numbers disks as it finds them; the serial of an EBS disk is the id of its volume.
find_disk() {
    link=$QMOOR_DEVICES/nvme-Amazon_Elastic_Block_Store_$serial
    if [ -e "$link" ]; then
        readlink -f "$link"
        return
    fi
    for block in "${QMOOR_SYS_BLOCK:-/sys/block}"/nvme*; do
        [ -r "$block/device/serial" ] || continue
        [ "$(tr -d '[:space:]' <"$block/device/serial")" = "$serial" ] || continue
        echo "/dev/${block##*/}"
        return
    done
    return 1
}

probe() { blkid -p -s "$1" -o value "$disk" || true; }

# Formats the disk if it is blank, and refuses it if it holds anything but a volume of ours.
format() {
    status=0
    blkid -p "$disk" >/dev/null || status=$?
    case $status in
        0) ;;
        2)
            # That is also what a disk is answered with which cannot be read.
            cmp -s -n 4194304 "$disk" /dev/zero ||
                fail "$volume holds something unknown" "if it is not needed: wipe the first 4 MiB of $disk"
            say "formatting $volume, which is blank"
            case $QMOOR_FILESYSTEM in
                xfs) mkfs.xfs -q -L "$LABEL" "$disk" ;;
                ext4) mkfs.ext4 -q -L "$LABEL" "$disk" </dev/null ;;
                *) fail "unknown file system $QMOOR_FILESYSTEM" "set volume.filesystem to xfs or ext4" ;;
            esac
            ;;
        *) fail "$volume holds several things at once" "look at it with: wipefs $disk" ;;
    esac
    [ "$(probe TYPE)" = "$QMOOR_FILESYSTEM" ] ||
        fail "$volume holds no $QMOOR_FILESYSTEM" "look at it with: blkid -p $disk"
    [ "$(probe LABEL)" = "$LABEL" ] ||
        fail "$volume was not made for qmoor" "if it is the data of this node: label its file system $LABEL"
}

mounted_from() { readlink -f "$(findmnt -n -o SOURCE --mountpoint "$QMOOR_MOUNT" || echo /nothing)"; }

mount_disk() {
    uuid=$(probe UUID)
    [ -e /etc/fstab ] || : >/etc/fstab
    # Other than the name of the disk, the UUID holds at the next boot.
    {
        awk -v at="$QMOOR_MOUNT" '/^[[:space:]]*#/ || $2 != at' /etc/fstab
        echo "UUID=$uuid $QMOOR_MOUNT $QMOOR_FILESYSTEM nofail,noatime,x-systemd.device-timeout=90s 0 0"
    } | put 644 /etc/fstab

    from=$(mounted_from)
    # A volume and its snapshot have the same UUID: with both attached the wrong one may have been mounted.
    if [ "$from" != "$disk" ] && [ -b "$from" ] && [ "$(blkid -p -s UUID -o value "$from" || true)" = "$uuid" ]; then
        umount "$QMOOR_MOUNT"
        from=$(mounted_from)
    fi
    if ! mountpoint -q "$QMOOR_MOUNT"; then
        mkdir -p "$QMOOR_MOUNT"
        [ -z "$(ls -A "$QMOOR_MOUNT")" ] ||
            fail "$QMOOR_MOUNT holds files, which the volume would hide" "move them away"
        # So that nothing can be written to the disk of the system when the volume is away.
        chattr +i "$QMOOR_MOUNT" 2>/dev/null || say "cannot protect the mount point $QMOOR_MOUNT"
        mount -t "$QMOOR_FILESYSTEM" -o noatime "$disk" "$QMOOR_MOUNT"
        from=$(mounted_from)
    fi
    [ "$from" = "$disk" ] ||
        fail "$from is mounted on $QMOOR_MOUNT, and not $volume" "unmount it, and run this again"
    # The volume may have been made larger.
    case $QMOOR_FILESYSTEM in
        xfs) xfs_growfs "$QMOOR_MOUNT" >/dev/null ;;
        ext4) resize2fs "$disk" >/dev/null 2>&1 ;;
    esac
}

# ---- the program ----------------------------------------------------------------------------

is_promised() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$QMOOR_BINARY_SHA256" ]; }

download() {
    set -- "$1" -fsS --proto =https --retry 5 --retry-connrefused --connect-timeout 10 --max-time 900 -o "$1"
    file=$1
    shift
    case $QMOOR_BINARY_URL in
        s3://*)
            place=${QMOOR_BINARY_URL#s3://}
            imds=${QMOOR_IMDS:-http://169.254.169.254}/latest
            token=$(curl -fsS -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/api/token") || return
            header="X-aws-ec2-metadata-token: $token"
            credentials=$imds/meta-data/iam/security-credentials
            role=$(curl -fsS -m 10 -H "$header" "$credentials/") || return
            answer=$(curl -fsS -m 10 -H "$header" "$credentials/$role") || return
            field() { printf '%s' "$answer" | sed -n "s|.*\"$1\" *: *\"\([^\"]*\)\".*|\1|p"; }
            case $QMOOR_REGION in cn-*) suffix=amazonaws.com.cn ;; *) suffix=amazonaws.com ;; esac
            server=${QMOOR_S3:-https://${place%%/*}.s3.$QMOOR_REGION.$suffix}
            # On standard input, so that the list of processes does not show them.
            printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' \
                "$(field AccessKeyId)" "$(field SecretAccessKey)" "$(field Token)" |
                curl "$@" -K - --aws-sigv4 "aws:amz:$QMOOR_REGION:s3" \
                    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$server/${place#*/}"
            ;;
        *) curl "$@" -L "$QMOOR_BINARY_URL" ;;
    esac || return
    chmod 755 "$file"
}

# A program that is there goes on when the new one cannot be had, or is not the one that was promised.
install_program() {
    ! is_promised "$PROGRAM" || return 0
    install_package curl curl-minimal curl
    rm -f "$PROGRAM.new"
    if ! download "$PROGRAM.new"; then
        refused="cannot download $QMOOR_BINARY_URL"
    elif ! is_promised "$PROGRAM.new"; then
        refused="$QMOOR_BINARY_URL is not the program with the SHA-256 $QMOOR_BINARY_SHA256"
    else
        mv -f "$PROGRAM.new" "$PROGRAM"
        return
    fi
    rm -f "$PROGRAM.new"
    hint="correct aws.binary_url and aws.binary_sha256"
    [ -x "$PROGRAM" ] || fail "$refused" "$hint"
    say "$refused; the program that is there goes on"
}

# ---- all of it ------------------------------------------------------------------------------

volume=$QMOOR_VOLUME
# A restore has put another volume in its place, unless the file names a new one since.
known() { sed -n "s|.*[{,]\"$1\":\"\(vol-[0-9a-f]*\)\".*|\1|p" "$QMOOR_STATE/volume.json" 2>/dev/null || true; }
[ "$(known configured)" != "$volume" ] || volume=$(known id)
serial=vol${volume#vol-}

# The volume is attached after the machine has started.
left=${QMOOR_WAIT:-900}
until disk=$(find_disk); do
    [ "$left" -gt 0 ] || fail "$volume is not attached" "attach it to this machine, in the console or with: qmoor up"
    left=$((left - 1))
    sleep 1
done

[ "$QMOOR_FILESYSTEM" != xfs ] || install_package mkfs.xfs xfsprogs xfsprogs
format
mount_disk

if [ "$QMOOR_DOCKER" = yes ]; then
    install_package docker docker docker.io
    # At the next boot no container starts before its data is there.
    printf '[Unit]\nAfter=qmoor-boot.service\n' | put 644 /etc/systemd/system/docker.service.d/qmoor.conf
fi

refused=
hint=
install_program

mkdir -p "$QMOOR_DIR"
systemctl daemon-reload
if [ "$QMOOR_DOCKER" = yes ]; then
    systemctl enable docker.service
    systemctl start --no-block docker.service
fi
# They wait for this to end: not waiting for them.
systemctl enable qmoor.service
systemctl start --no-block qmoor.service

command -v amazon-ssm-agent >/dev/null || [ -e /snap/amazon-ssm-agent ] ||
    say "there is no SSM agent here: operators can reach this node only through its gateway"
[ -z "$refused" ] || fail "$refused" "$hint"
