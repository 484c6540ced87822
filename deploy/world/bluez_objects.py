"""The objects that the emulated BlueZ shows on D-Bus: a store that tells every change.

A store of properties and one handler of messages, rather than dbus-fast's ServiceInterface,
because real BlueZ lets properties vanish (RSSI when a scan ends) and an interface class cannot.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from dbus_fast import Message, MessageType, Variant

PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
ADAPTER = "org.bluez.Adapter1"
MONITOR_MANAGER = "org.bluez.AdvertisementMonitorManager1"
AGENT_MANAGER = "org.bluez.AgentManager1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
DESCRIPTOR = "org.bluez.GattDescriptor1"

NO, YES = (Variant("b", said) for said in (False, True))

Properties = Mapping[str, Variant]
Method = Callable[[Message], Coroutine[Any, Any, Message]]
"""Answers one method call; raises dbus_fast's DBusError to refuse it."""
Methods = Mapping[tuple[str, str], Method]
"""Methods by interface and member."""


class Objects:
    """`{path: {interface: {property: Variant}}}`, each change sent as BlueZ sends it."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._objects: dict[str, dict[str, dict[str, Variant]]] = {}

    def all(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """The answer to GetManagedObjects."""
        return self._objects

    def paths(self, interface: str) -> list[str]:
        """Every object that has this interface."""
        return [path for path, interfaces in self._objects.items() if interface in interfaces]

    def has(self, path: str, interface: str) -> bool:
        """Whether the object exists and has this interface."""
        return interface in self._objects.get(path, {})

    def properties(self, path: str, interface: str) -> dict[str, Variant]:
        """The properties of one interface; empty when there is no such thing."""
        return self._objects.get(path, {}).get(interface, {})

    def value(self, path: str, interface: str, name: str) -> Any:  # noqa: ANN401 -- as many types as BlueZ has properties
        """A property's bare value, None when it has vanished."""
        variant = self.properties(path, interface).get(name)
        return None if variant is None else variant.value

    def add(self, path: str, interfaces: Mapping[str, Properties]) -> None:
        """Show an object."""
        shown = {name: dict(properties) for name, properties in interfaces.items()}
        self._objects.setdefault(path, {}).update(shown)
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, shown])

    def remove(self, path: str) -> None:
        """Take away an object and everything beneath it, the deepest first as BlueZ does."""
        beneath = [other for other in self._objects if other.startswith(f"{path}/")]
        for gone in (*sorted(beneath, reverse=True), path):
            if interfaces := self._objects.pop(gone, None):
                self._signal(
                    "/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [gone, list(interfaces)]
                )

    def change(
        self, path: str, interface: str, changed: Properties, *, gone: Sequence[str] = ()
    ) -> None:
        """Change properties, let others vanish, and say so in one signal, even if equal."""
        properties = self.properties(path, interface)
        lost = [name for name in gone if properties.pop(name, None) is not None]
        properties.update(changed)
        if changed or lost:
            body = [interface, dict(changed), lost]
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", body)

    def clear(self) -> None:
        """Forget everything and say nothing, as a daemon that was killed."""
        self._objects.clear()

    def _signal(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> None:
        self._send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )


def done(call: Message, signature: str = "", body: list[Any] | None = None) -> Message:
    """The answer to a call that went well."""
    return Message.new_method_return(call, signature, body or [])
