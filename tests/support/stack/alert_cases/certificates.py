"""Cases of rules/certificates.yml."""

from tests.support.stack.alert_cases.case import DAY, Case

CERTIFICATES = [
    Case(
        "CertificateExpiringSoon",
        {"certificate_not_after_timestamp_seconds": f"{2 * DAY}x40"},
        "4m30s",
        "10m",
        "The TLS certificate expires in 1d 23h 50m 0s; browsers then reject the site.",
        [{"certificate_not_after_timestamp_seconds": f"{20 * DAY}x40"}],
    ),
    Case(
        "CertificateRenewalFailed",
        {"certificate_renewal_failing": "1x60"},
        "14m30s",
        "15m",
        "certbot cannot issue or renew the TLS certificate, or nginx does not serve it.",
        [{"certificate_renewal_failing": "0x60"}],
    ),
    Case(
        "CertificateCheckStale",
        {"certificate_last_check_timestamp_seconds": f"{-27 * 3600}x40"},
        "4m30s",
        "5m",
        "The TLS certificate was last checked 1d 3h 5m 0s ago; certbot is stopped or hangs.",
        [{"certificate_last_check_timestamp_seconds": f"{-13 * 3600}x40"}],
    ),
]
