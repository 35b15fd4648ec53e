"""Kafka's errors as errors of the journal: what is wrong, and what to do."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from journal.protocol import JournalError, TooLarge

# No broker answers: wait, or repair the cluster or the address.
AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._DESTROY,
    }
)
# The answer for a topic that is gone, and for a moment for one that the broker does not know yet.
UNKNOWN = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
# A producer that has failed for good discards what it has not sent.
DISCARDED = frozenset({KafkaError._PURGE_INFLIGHT, KafkaError._PURGE_QUEUE, KafkaError._FATAL})
# The cluster is moving partitions or leaders; it will be done in a moment.
MOVING = frozenset(
    {
        KafkaError._NOENT,  # "no leaders found"
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)
# These do not pass by themselves: waiting is useless.
REFUSED = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED})

_GRANTS = "docs/servers.md, Apache Kafka, lists the rights that it needs"


def code_of(error: BaseException | None) -> int | None:
    """Kafka's number of an error; None for an error that is not Kafka's."""
    return error.args[0].code() if isinstance(error, KafkaException) else None


def hopeless(error: KafkaError) -> bool:
    """Whether trying again is useless."""
    return error.code() in REFUSED


def why(error: KafkaError) -> str:
    """What is wrong, and what to do about it."""
    code, text = error.code(), error.str()
    if code in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):
        return f"the user or the password is refused ({_short(text)}): check them, and mechanism="
    if code == KafkaError._SSL:
        if "verify failed" in text or "certificate" in text:
            return f"its TLS certificate is not accepted ({_short(text)}): name its authority with ca=, and the host as the certificate does"
        return f"TLS is refused ({_short(text)}): is this the port of a TLS listener? Without TLS it is kafka://"
    if code == KafkaError._TRANSPORT and "SSL connection closed" in text:  # which of the two errors comes first depends on the broker
        return f"{_short(text)}: connecting to a PLAINTEXT broker listener? Without TLS it is kafka://"
    if code == KafkaError._RESOLVE:
        return f"the name of a broker is not known ({_short(text)}): check it, and the name service"
    if code in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    ):
        return f"the user is not allowed to do this ({_short(text)}): {_GRANTS}"
    if code == KafkaError.INVALID_REPLICATION_FACTOR:
        return f"the cluster has too few brokers for so many copies ({_short(text)}): start more, or set replication="
    if code in (KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND):
        return "too few copies are in sync (min.insync.replicas): bring the other brokers back"
    if code in UNKNOWN:
        return f"the topic is not there any more ({_short(text)})"
    if code == KafkaError.KAFKA_STORAGE_ERROR:
        return f"a broker cannot use its disk ({_short(text)}): check its log"
    return _short(text)


def explained(error: KafkaError, what: str) -> JournalError:
    """The fault of an operation as an error of the journal."""
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE):
        return TooLarge(f"{what}: the topic takes no message of this size (its max.message.bytes): {_short(error.str())}")
    return JournalError(f"{what}: {why(error)}")


def _short(text: str) -> str:
    """One line, without librdkafka's additions.

    >>> _short("sasl_ssl://h:9093/bootstrap: SASL handshake failed: no (after 3ms in state AUTH, 2 identical error(s) suppressed)")
    'SASL handshake failed: no'
    """
    text = " ".join(text.split())
    head, found, rest = text.partition("/bootstrap: ")
    return (rest if found and "://" in head else text).split(" (after ")[0][:300]
