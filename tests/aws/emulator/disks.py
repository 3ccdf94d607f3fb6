"""Volumes as files, and attached volumes as loop devices under the name that a Nitro instance gives them."""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

GIB = 1024**3
# A file that shares blocks with another is written in whole blocks of its disk, and its loop device then says that
# it has sectors of that size. A file system with smaller ones could not be mounted any more from a clone, so all
# devices have them from the start.
SECTOR = "4096"
LINK = "nvme-Amazon_Elastic_Block_Store_"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise OSError(f"`{' '.join(map(str, command))}` failed: {done.stderr.strip()}")
    return done.stdout.strip()


class Disks:
    """The disks of all accounts; with `real` false none of the methods does anything."""

    def __init__(self, root, real):
        self.real = real
        self.devices = {}
        if root is None:
            return
        self.volumes, self.snapshots, self.links = root / "volumes", root / "snapshots", root / "by-id"
        for folder in (self.volumes, self.snapshots, self.links):
            folder.mkdir(parents=True, exist_ok=True)
        if real:
            self._clear()

    def _clear(self):
        """Takes away what an emulator that was killed has left in these folders."""
        listed = json.loads(run("losetup", "--list", "--json", "--output", "NAME,BACK-FILE") or "{}")
        for device in listed.get("loopdevices", []):
            if (device["back-file"] or "").startswith(f"{self.volumes}/"):
                release(device["name"])
        for folder in (self.volumes, self.snapshots, self.links):
            for entry in folder.iterdir():
                entry.unlink()

    def image(self, volume_id):
        return self.volumes / f"{volume_id}.img"

    def saved(self, snapshot_id):
        return self.snapshots / f"{snapshot_id}.img"

    def link(self, volume_id):
        return self.links / (LINK + volume_id.replace("-", ""))

    def create(self, volume_id, gib, snapshot_id=None):
        """A blank volume, or one with the content of a snapshot; what the snapshot lacks in size is blank."""
        if not self.real:
            return
        if snapshot_id and self.saved(snapshot_id).exists():
            clone(self.saved(snapshot_id), self.image(volume_id))
        with self.image(volume_id).open("ab") as file:
            file.truncate(gib * GIB)

    def grow(self, volume_id, gib):
        if not self.real:
            return
        os.truncate(self.image(volume_id), gib * GIB)
        if volume_id in self.devices:
            run("losetup", "--set-capacity", self.devices[volume_id])

    def delete(self, volume_id):
        if self.real:
            self.image(volume_id).unlink(missing_ok=True)

    def attach(self, volume_id):
        if not self.real:
            return
        # More loop devices are made by losetup when all are taken.
        find = ("losetup", "--find", "--show", "--sector-size", SECTOR)
        try:
            device = run(*find, "--direct-io=on", self.image(volume_id))
        except OSError:
            device = run(*find, self.image(volume_id))
        self.devices[volume_id] = device
        link = self.link(volume_id)
        link.unlink(missing_ok=True)
        link.symlink_to(device)

    def busy(self, volume_id):
        """Whether somebody holds the device: a mounted file system, in whichever mount namespace, does."""
        if volume_id not in self.devices:
            return False
        try:
            os.close(os.open(self.devices[volume_id], os.O_RDONLY | os.O_EXCL))
        except OSError:
            return True
        return False

    def detach(self, volume_id):
        device = self.devices.pop(volume_id, None)
        if device:
            self.link(volume_id).unlink(missing_ok=True)
            run("losetup", "--detach", device)

    def snapshot(self, volume_id, snapshot_id):
        if self.real:
            clone(self.image(volume_id), self.saved(snapshot_id))

    def copy(self, snapshot_id, new_id):
        if self.real and self.saved(snapshot_id).exists():
            clone(self.saved(snapshot_id), self.saved(new_id))

    def drop(self, snapshot_id):
        if self.real:
            self.saved(snapshot_id).unlink(missing_ok=True)

    def close(self):
        """Lets go of all devices, also of those that are mounted, and removes the files."""
        if not self.real:
            return
        for device in self.devices.values():
            release(device)
        self.devices.clear()
        for folder in (self.volumes, self.snapshots, self.links):
            shutil.rmtree(folder, ignore_errors=True)


def release(device):
    """Unmounts and detaches. A device that is still held goes away when it is let go of."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, target = line.split()[:2]
        if source == device:
            with suppress(OSError):
                run("umount", "--lazy", target.encode().decode("unicode_escape"))
    with suppress(OSError):
        run("losetup", "--detach", device)


def clone(source, target):
    """All that was written up to now; blocks are shared where the file system can."""
    target.unlink(missing_ok=True)
    run("cp", "--reflink=auto", "--sparse=always", source, target)
