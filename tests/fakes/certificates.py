"""Throw-away certificate authorities, and certificates for servers on the loopback address and for clients."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


def loopback_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context for 127.0.0.1, and the PEM file of the authority that vouches for it."""
    authority = Authority(folder)
    return authority.server(), authority.file


class Authority:
    """One authority.

    Args:
        folder: For its files.
        name: Its common name.

    Attributes:
        file: PEM file with its certificate.
    """

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, name, self._key, self._key, authority=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(PEM))

    def server(
        self, *, address: str = "127.0.0.1", begins_in: timedelta = timedelta(days=-1), clients: bool = False
    ) -> ssl.SSLContext:
        """A server's TLS context.

        Args:
            address: IP address that the certificate is for.
            begins_in: When the certificate's 31 days begin, from now.
            clients: Accept only clients with a certificate of this authority.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._issue(address, "server.pem", ExtendedKeyUsageOID.SERVER_AUTH, begins_in))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def client(self, passphrase: str = "") -> Path:
        """PEM file of a client's certificate and key."""
        usage, since = ExtendedKeyUsageOID.CLIENT_AUTH, timedelta(days=-1)
        return self._issue("127.0.0.2", "client.pem", usage, since, passphrase)

    def _issue(
        self, address: str, file: str, usage: x509.ObjectIdentifier, begins_in: timedelta, passphrase: str = ""
    ) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(address, self._name, key, self._key, authority=False, usage=usage, begins=begins_in)
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        path = self._folder / file
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)
        path.write_bytes(private + certificate.public_bytes(PEM))
        return path


def _certificate(
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    begins: timedelta = timedelta(days=-1),
) -> x509.Certificate:
    since = datetime.now(UTC) + begins
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=31))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not authority:
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
