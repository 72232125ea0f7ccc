"""The names of the exporter's own metrics."""

from prometheus_client import CollectorRegistry

from exporter.metrics import telemetry

NOT_YET_EXPORTED = {
    "directmail_account_daily_quota_emails",
    "directmail_account_monthly_quota_emails",
    "directmail_account_reputation_level",
    "directmail_account_reputation_level_max",
    "directmail_account_state",
    "directmail_delivery_observed_delivered_emails_total",
    "directmail_delivery_observed_failed_emails_total",
    "directmail_delivery_observed_invalid_emails_total",
    "directmail_delivery_observed_requested_emails_total",
    "directmail_delivery_delivered_emails",
    "directmail_delivery_failed_emails",
    "directmail_delivery_invalid_emails",
    "directmail_delivery_requested_emails",
    "directmail_domain_verified",
    "directmail_query_supported",
    "directmail_sender_emails",
}
"""Delivery, account and domains: to be deleted, with its use below, once the exporter has them."""


def own_metrics() -> set[str]:
    registry = CollectorRegistry()
    telemetry.Telemetry(registry, {})
    names = set(NOT_YET_EXPORTED)
    for family in registry.collect():
        if family.name.startswith("directmail"):
            names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names
