"""The connection to a cluster: one admin client and one producer per journal, and the health of the cluster as far as it is known."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from journal.kafka.address import Address
from journal.kafka.faults import AWAY, DISCARDED, MOVING, UNKNOWN, code_of, explained, hopeless, why
from journal.kafka.handles import held
from journal.protocol import JournalError

ANSWER_S = 8.0
"""How long a cluster may take to answer a question; one that was down a moment ago gets `DOWN_ANSWER_S`."""
DOWN_ANSWER_S = 2.0
TRY_S = 3.0
OFFSETS_S = 1.5
LOOK_S = 0.05
GIVE_UP_S = 2.0
"""After "all brokers are down" for so long, callers stop waiting. librdkafka reports it also when it has only not tried the others yet."""
LINGER_MS = 1
FETCH_WAIT_MS = 100
"""A partition that is added to a consumer waits for the running fetch, so that is short. Arriving data ends it at once."""
PREFETCH_KB = 16 << 10
OVERHEAD_BYTES = 64 << 10
"""What Kafka adds to an entry, at most."""

_log = logging.getLogger(__name__)
_mute = logging.Logger("librdkafka", logging.CRITICAL + 1)
"""librdkafka would print what its errors already report."""

Question = Callable[[AdminClient, float], Iterable[Future[Any]]]
"""Sends a request by the admin client, to be answered within so many seconds."""


class Cluster:
    """Makes clients when they are first needed; they live as long as this object. For any thread."""

    def __init__(self, address: Address, record_bytes: int) -> None:
        self.address = address
        self.message_bytes = record_bytes + OVERHEAD_BYTES
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._asker: Consumer | None = None
        self._producer: Sender | None = None
        self._trouble: KafkaError | None = None
        self._error_s = 0.0
        self._down_since_s: float | None = None
        self._probe: Future[Any] | None = None
        self._reported = False

    # --- clients ---------------------------------------------------------------------------------------------------------------

    @property
    def admin(self) -> AdminClient:
        with self._lock:
            if self._admin is None:
                self._admin = held(AdminClient(self._config()))
            return self._admin

    def sender(self) -> Sender:
        """The producer; a new one if the last has failed for good."""
        with self._lock:
            if self._producer is None or self._producer.spent:
                timeout_ms = self.address.timeout_ms
                self._producer = Sender(
                    self._config()
                    | {
                        "enable.idempotence": True,  # and with it acks=all, and the order of what is sent again
                        "linger.ms": LINGER_MS,
                        "compression.type": "lz4",
                        "message.timeout.ms": timeout_ms,
                        "request.timeout.ms": timeout_ms,
                        "message.max.bytes": self.message_bytes,
                        "queue.buffering.max.messages": 0,
                    }
                )
            return self._producer

    def consumer(self) -> Consumer:
        return held(
            Consumer(
                self._config()
                | {
                    "group.id": f"{self.address.prefix}readers",  # librdkafka requires one; no group is ever joined, nothing committed
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",  # never a silent jump
                    "allow.auto.create.topics": False,
                    "check.crcs": True,
                    "fetch.wait.max.ms": FETCH_WAIT_MS,
                    "fetch.error.backoff.ms": 100,
                    "fetch.queue.backoff.ms": 10,
                    "queued.max.messages.kbytes": PREFETCH_KB,
                    "isolation.level": "read_uncommitted",
                }
            )
        )

    def _config(self) -> dict[str, Any]:
        # A method bound to self would be a reference cycle through C that is never freed.
        myself = weakref.ref(self)

        def on_error(error: KafkaError) -> None:
            if (cluster := myself()) is not None:
                cluster.on_error(error)

        return {
            **self.address.client(),
            "client.id": "ringfence",
            "error_cb": on_error,
            "logger": _mute,
            "socket.timeout.ms": self.address.timeout_ms,
            "socket.connection.setup.timeout.ms": 5000,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 1000,
            "connections.max.idle.ms": 540_000,  # before the broker does (10 minutes), which would look like a fault
        }

    # --- health ----------------------------------------------------------------------------------------------------------------

    def on_error(self, error: KafkaError) -> None:
        """The error callback of all clients."""
        all_down = error.code() == KafkaError._ALL_BROKERS_DOWN
        if not all_down:  # that error has no reason in it
            self._trouble = error
        self._error_s = time.monotonic()
        if all_down or hopeless(error):
            self._down_since_s = self._down_since_s or self._error_s
        elif error.code() not in AWAY and not hopeless(error):
            _log.warning("%s: %s", self.address, why(error))

    def answered(self) -> None:
        """A broker has answered."""
        if self._reported:
            _log.warning("%s: it answers again", self.address)
        self._trouble, self._down_since_s, self._probe, self._reported = None, None, None, False

    def down_s(self) -> float:
        """Seconds for which no broker has answered; 0.0 = as far as is known, they answer. Never waits. Call it regularly: an idle consumer
        does not notice that its broker is back, so this probes a cluster that is down, in the background."""
        if self._down_since_s is None:
            return 0.0
        since_s = self._down_since_s
        if self._probe is None:
            self._probe = self.admin.describe_cluster(request_timeout=DOWN_ANSWER_S)
        elif self._probe.done():
            failed, self._probe = self._probe.exception(), None
            if failed is None:  # the error was old, or the cluster is back
                self.answered()
                return 0.0
            if not self._reported:
                self._reported = True
                _log.error("%s", self.away())
        return time.monotonic() - since_s

    def away(self, what: str = "") -> JournalError:
        """The error that no broker answers, with the reason if one is known."""
        trouble = self._trouble
        head = f"{self.address}: {what + ': ' if what else ''}"
        if trouble is not None and hopeless(trouble):
            return JournalError(head + why(trouble))
        if trouble is None and not self.address.tls:
            return JournalError(
                f"{head}no broker answers. Check the address, that the brokers run, and whether they want TLS (kafka+ssl://)"
            )
        because = f" ({why(trouble)})" if trouble is not None else ""
        return JournalError(f"{head}no broker answers{because}. Check the address, and that the brokers run")

    # --- questions -------------------------------------------------------------------------------------------------------------

    def ask(self, question: Question, what: str, *, again: frozenset[int] = MOVING) -> list[Any]:
        """The answers of the admin client. Asks again by a new client while the error is one of `again` or the broker does not answer: a
        client keeps asking the broker that it remembers, even if that one is dead.
        """
        began_s = time.monotonic()
        end_s = began_s + (ANSWER_S if self._down_since_s is None else DOWN_ANSWER_S)
        while True:
            admin = self.admin
            try_s = min(end_s, time.monotonic() + TRY_S)
            futures = list(question(admin, max(LOOK_S, try_s - time.monotonic())))
            error = next(
                (error for future in futures if (error := self._outcome(admin, future, began_s, try_s + 1.0, what))), None
            )
            if error is None:
                self.answered()
                return [future.result() for future in futures]
            if code_of(error) not in again | AWAY or time.monotonic() > end_s:
                raise self.fault(error, what) from error
            with self._lock:
                self._admin = None
            time.sleep(LOOK_S)

    def _outcome(self, admin: AdminClient, future: Future[Any], began_s: float, end_s: float, what: str) -> BaseException | None:
        """The fault of an answer, or None. Raises if waiting is useless."""
        while not future.done():
            admin.poll(0)
            try:
                return future.exception(LOOK_S)
            except NotYet:
                if self._given_up(began_s):
                    raise self.away(what) from None
                if time.monotonic() > end_s:
                    return KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return future.exception()

    def _given_up(self, began_s: float) -> bool:
        """Whether an error since then means that no broker is there, or that our login is refused."""
        if self._down_since_s is None or self._error_s < began_s:
            return False
        if self._trouble is not None and hopeless(self._trouble):
            return True
        return self._down_since_s >= began_s and time.monotonic() - self._down_since_s > GIVE_UP_S

    def fault(self, error: BaseException, what: str) -> JournalError:
        """A failed operation as an error of the journal."""
        if not isinstance(error, KafkaException):
            return JournalError(f"{self.address}: {what}: {error}")
        reason: KafkaError = error.args[0]
        if reason.code() in AWAY:
            self.admin.poll(0)
            return self.away(what)
        if not hopeless(reason):
            self.answered()
        return explained(reason, f"{self.address}: {what}")

    def offsets(self, name: str, partition: int) -> tuple[int, int]:
        """The first offset of a partition, and its end.

        By a consumer that consumes nothing: the admin client's request for them aborts the process (librdkafka 2.16) when a broker comes
        back at the wrong moment.
        """
        what = f"cannot ask for the offsets of {name}/{partition}"
        began_s = time.monotonic()
        end_s = began_s + (ANSWER_S if self._down_since_s is None else DOWN_ANSWER_S)
        while True:
            with self._lock:
                asker = self._asker = self._asker or self.consumer()
            try:
                first, end = asker.get_watermark_offsets(TopicPartition(name, partition), OFFSETS_S)
            except KafkaException as error:
                asker.consume(1, 0)  # calls the error callback
                if self._given_up(began_s):
                    raise self.away(what) from error
                if code_of(error) not in MOVING | AWAY | UNKNOWN or time.monotonic() > end_s:
                    raise self.fault(error, what) from error
                with self._lock:
                    self._asker = None
                time.sleep(LOOK_S)
            else:
                self.answered()
                return first, end


class Sender:
    """A producer, and the thread that polls its delivery reports: several threads may append at the same time."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.spent = False
        self.fatal: KafkaError | None = None  # then it delivers and reports nothing more
        self.producer = held(Producer(config))
        stop = threading.Event()
        thread = threading.Thread(
            target=_poll, args=(self.producer, stop, weakref.ref(self)), name="kafka-deliveries", daemon=True
        )
        thread.start()
        _polling[thread] = stop
        weakref.finalize(self, stop.set).atexit = False

    def reason(self, error: KafkaError) -> KafkaError:
        """The fatal fault, if an entry was only discarded because of it: that fault arrives a moment later."""
        end_s = time.monotonic() + 1.0
        while error.code() in DISCARDED and self.fatal is None and time.monotonic() < end_s:
            time.sleep(0.01)
        return self.fatal or error

    def refresh(self, name: str) -> None:
        """Fetches the topic's metadata again: a producer remembers its old number of partitions."""
        try:
            self.producer.list_topics(name, ANSWER_S)
        except KafkaException as error:
            _log.warning("the producer could not refresh %s: %s", name, why(error.args[0]))  # an append reports more

    def send(self, name: str, partition: int, key: bytes, value: bytes, timestamp_ms: int, report: Callable[..., None]) -> None:
        try:
            self.producer.produce(name, value, key, partition, on_delivery=report, timestamp=timestamp_ms)
        except KafkaException:
            self.spent = True
            raise


def _poll(producer: Producer, stop: threading.Event, of: weakref.ref[Sender]) -> None:
    while not stop.is_set():
        try:
            producer.poll(0.2)
        except KafkaException as error:  # only a fatal one is raised, and only here
            if (sender := of()) is not None:
                sender.fatal, sender.spent = error.args[0], True


def _stop_polling() -> None:
    """A thread inside librdkafka must not outlive the interpreter."""
    for stop in list(_polling.values()):
        stop.set()
    for thread in list(_polling):
        thread.join(1.0)


_polling: weakref.WeakKeyDictionary[threading.Thread, threading.Event] = weakref.WeakKeyDictionary()
atexit.register(_stop_polling)
