"""What a device said, in words every room understands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    """What is observed. The numbers are stored: they never change and are never reused.

    What each kind means, its unit, range and codes stand in `adapters.catalogue`.
    """

    MOTION = 1
    DOOR = 2
    OPENING = 3
    OCCUPANCY = 4
    PRESENCE = 5
    BUTTON = 6
    CALL_PRESSED = 7
    CALL_TEST = 8
    BATTERY = 9
    BATTERY_LOW = 10
    TEMPERATURE = 11
    BODY_TEMPERATURE = 12
    HUMIDITY = 13
    VOLTAGE = 14
    ILLUMINANCE = 15
    DOSE_DUE = 20
    DOSE_DISPENSED = 21
    DOSE_TAKEN = 22
    DOSE_MISSED = 23
    DOSE_UNCONFIRMED = 24
    DOSE_WITHHELD = 25
    DOSE_SKIPPED = 26
    DISPENSE_BLOCKED = 27
    JAM = 28
    DEVICE_ERROR = 29
    REFILL_LOW = 30
    REFILL_EMPTY = 31
    REFILL_DONE = 32
    TRAY_OPEN = 33
    TRAY_CLOSED = 34
    TILTED = 35
    BATTERY_EMPTY = 36
    MAINS_LOST = 37
    MAINS_RESTORED = 38
    TEST_EVENT = 39
    HEARTBEAT = 40
    DOSES_LEFT = 41
    UNKNOWN_EVENT = 42
    INTERMEDIATE_TEMPERATURE = 43
    DEW_POINT = 44
    MASS = 45
    PRESSURE = 46
    COUNT = 47
    ENERGY = 48
    POWER = 49
    PM2_5 = 50
    PM10 = 51
    CO2 = 52
    TVOC = 53
    MOISTURE = 54
    ROTATION = 55
    DISTANCE = 56
    DURATION = 57
    CURRENT = 58
    SPEED = 59
    UV_INDEX = 60
    VOLUME = 61
    VOLUME_FLOW = 62
    GAS_VOLUME = 63
    WATER_VOLUME = 64
    STORED_VOLUME = 65
    TIMESTAMP = 66
    ACCELERATION = 67
    ANGULAR_SPEED = 68
    CONDUCTIVITY = 69
    DIRECTION = 70
    PRECIPITATION = 71
    CHANNEL = 72
    ROTATIONAL_SPEED = 73
    LIGHT_LEVEL = 74
    SETTINGS_REVISION = 75
    TEXT = 76
    RAW = 77
    DEVICE_TYPE = 78
    FIRMWARE = 79
    DIMMER = 80
    COMMAND = 81
    GENERIC = 82
    POWER_ON = 83
    BATTERY_CHARGING = 84
    CARBON_MONOXIDE = 85
    COLD = 86
    CONNECTED = 87
    GAS_DETECTED = 88
    HEAT = 89
    LIGHT = 90
    UNLOCKED = 91
    WET = 92
    MOVING = 93
    PLUGGED_IN = 94
    PROBLEM = 95
    RUNNING = 96
    SAFE = 97
    SMOKE = 98
    SOUND = 99
    TAMPERED = 100
    VIBRATION = 101
    BP_SYSTOLIC = 102
    BP_DIASTOLIC = 103
    BP_MEAN = 104
    HEART_RATE = 105
    SPO2 = 106
    PULSE_AMPLITUDE = 107
    BODY_WEIGHT = 108
    BODY_HEIGHT = 109
    BMI = 110
    BODY_FAT = 111
    FAT_FREE_MASS = 112
    MUSCLE_MASS = 113
    MUSCLE_SHARE = 114
    SOFT_LEAN_MASS = 115
    BODY_WATER_MASS = 116
    BASAL_METABOLISM = 117
    IMPEDANCE = 118
    GLUCOSE = 119
    TISSUE_GLUCOSE = 120
    CARBOHYDRATE = 121
    EXERCISE = 122
    MEDICATION_MASS = 123
    MEDICATION_VOLUME = 124
    HBA1C = 125
    ENERGY_EXPENDED = 126
    BEAT_INTERVAL = 127
    GLUCOSE_CONTEXT = 128
    GLUCOSE_TREND = 129
    CUFF_PRESSURE = 130
    CONTROL_GLUCOSE = 131
    DOSE_TAKEN_EARLY = 132
    DOSE_TAKEN_LATE = 133
    WITHHELD_DRAWER_FULL = 134
    TRAVEL_DOSE_RELEASED = 135
    SCHEDULE_MISSING = 136
    SCHEDULE_CHANGED = 137


class Quality(IntEnum):
    """How far a value may be believed. Stored: the numbers never change."""

    GOOD = 0
    IMPLAUSIBLE = 1  # outside the catalogue's plausible range: kept, shown, marked
    NOT_A_NUMBER = 2  # the device said that it has no value (NaN, NRes)
    INFINITE = 3  # beyond the device's range, either end
    UNKNOWN_CODE = 4  # an event code that the format does not name


class ClockQuality(IntEnum):
    """How sure `occurred` is. Stored: the numbers never change."""

    SYNCHRONISED = 0  # the box's clock was synchronised when it heard
    CORRECTED = 1  # worked out from boot id and uptime
    UNSURE = 2  # heard before any synchronisation, and not to be corrected
    DEVICE = 3  # the device's own clock said so
    AHEAD = 4  # later than the gateway's own clock: counted back from the receipt, or the receipt


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading of one device.

    `value` is a number in the kind's UCUM unit, 1.0/0.0 for yes/no kinds, the counter or
    packet id of a press (its identity), and None where a kind carries no number or the device
    had none. `code` is the kind's own small number: a button event, a dose slot, an error.
    `occurred` is milliseconds since 1970 where the device has a time of its own; None means
    "when it was heard". `record` is the number of a record that the device stores; with
    `occurred` it is kept once. `details` go to the narrow side table.
    """

    kind: Kind
    value: float | None = None
    code: int | None = None
    quality: Quality = Quality.GOOD
    occurred: int | None = None
    record: int | None = None
    details: Mapping[str, str] = field(default_factory=dict[str, str])
