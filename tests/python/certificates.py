"""Certificates for 127.0.0.1, made by `openssl`."""

import os
import subprocess

NAMES = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]


def openssl(*arguments):
    command = ["openssl", *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


class Authority:
    """Signs certificates in a folder, and is trusted by its own: `certificate`."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.certificate, self.key = folder / "root.crt", folder / "root.key"
        self._make("root", self.certificate, self.key, 365)

    def sign(self, cert, key, days):
        """A pair in these two places, taken there in one go each, the key first."""
        fresh, fresh_key = self.folder / "fresh.crt", self.folder / "fresh.key"
        self._make("node", fresh, fresh_key, days, *NAMES, "-CA", self.certificate, "-CAkey", self.key)
        fresh_key.chmod(0o600)
        os.replace(fresh_key, key)
        os.replace(fresh, cert)

    @staticmethod
    def _make(name, cert, key, days, *more):
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *curve, "-subj", f"/CN={name}", "-days", days, *more, "-keyout", key, "-out", cert)
