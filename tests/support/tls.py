"""TLS contexts for clients of the tests' servers."""

import ssl

from kioskd.simulator.certificate import Certificate


def client_context(certificate: Certificate) -> ssl.SSLContext:
    """Return a TLS context that trusts this certificate and no other."""
    return ssl.create_default_context(cafile=certificate.ca_file)
