"""What each kind of observation means: one table, and nothing else says it twice.

Units are UCUM (https://ucum.org). LOINC, NPU (Danish KIH/MedCom) and MDC codes are those of
ISO/IEEE 11073-10101 and -10471 (independent living: partition 130, base 8519680) and of the HL7
vital signs profile; SCAIP codes are device type and status of SS 91100. A kind has a code only
where its meaning is that code's own: a kitchen scale's mass is not a body weight.

Plausible ranges are wide on purpose: what lies outside is a broken sensor or a broken frame, not a
sick person. It is kept and marked, never dropped. The citizen's own limits belong to the rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adapters.observation import Kind

ValueType = Literal["number", "yes_no", "press", "event", "text"]
"""number: `value` in `unit`; yes_no: 1.0 or 0.0; press: `value` is the press's identity and `code`
what was done; event: it happened (a dose's `code` is its slot); text: it stands in `details`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One kind: its value, unit, plausible range (both ends included), words and codes.

    `danish` names the number or event on a screen; for yes/no kinds it says what yes means.
    """

    kind: Kind
    value: ValueType
    danish: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    loinc: str | None = None
    npu: str | None = None
    mdc: int | None = None
    scaip: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The kind's snake_case name, as in the interfaces."""
        return self.kind.name.lower()

    def plausible(self, value: float) -> bool:
        """Whether a value in `unit` lies in the range."""
        return not (
            (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
        )


def _number(
    kind: Kind,
    unit: str,
    low: float | None,
    high: float | None,
    danish: str,
    *,
    loinc: str | None = None,
    npu: str | None = None,
    mdc: int | None = None,
) -> Meaning:
    return Meaning(
        kind=kind,
        value="number",
        danish=danish,
        unit=unit,
        low=low,
        high=high,
        loinc=loinc,
        npu=npu,
        mdc=mdc,
    )


def _yes_no(
    kind: Kind, danish: str, *, mdc: int | None = None, scaip: tuple[str, str] | None = None
) -> Meaning:
    return Meaning(kind=kind, value="yes_no", danish=danish, mdc=mdc, scaip=scaip)


def _event(
    kind: Kind, danish: str, *, mdc: int | None = None, scaip: tuple[str, str] | None = None
) -> Meaning:
    return Meaning(kind=kind, value="event", danish=danish, mdc=mdc, scaip=scaip)


def _press(
    kind: Kind, danish: str, *, mdc: int | None = None, scaip: tuple[str, str] | None = None
) -> Meaning:
    return Meaning(kind=kind, value="press", danish=danish, mdc=mdc, scaip=scaip)


def _text(kind: Kind, danish: str) -> Meaning:
    return Meaning(kind=kind, value="text", danish=danish)


_DISPENSER = "0011"  # SCAIP device type: pill dispenser

_MEANINGS = (
    # The home
    _yes_no(Kind.MOTION, "bevægelse", mdc=8519687, scaip=("0010", "0119")),
    _yes_no(Kind.DOOR, "dør åben", mdc=8519690, scaip=("0014", "0076")),
    _yes_no(Kind.OPENING, "åben (låge, vindue, port)", mdc=8519690, scaip=("0014", "0076")),
    _yes_no(Kind.OCCUPANCY, "seng, stol eller rum i brug", mdc=8519691, scaip=("0018", "0120")),
    _yes_no(Kind.PRESENCE, "nogen er hjemme", scaip=("0018", "0121")),
    _yes_no(Kind.UNLOCKED, "ulåst"),
    _yes_no(Kind.MOVING, "genstand flyttes"),
    _yes_no(Kind.VIBRATION, "rystelse"),
    _yes_no(Kind.LIGHT, "lys tændt"),
    _yes_no(Kind.SOUND, "lyd hørt"),
    _yes_no(Kind.PLUGGED_IN, "stik sat i"),
    _yes_no(Kind.POWER_ON, "tændt"),
    _yes_no(Kind.RUNNING, "kører"),
    _yes_no(Kind.CONNECTED, "forbundet"),
    _yes_no(Kind.GENERIC, "ja/nej-signal"),
    # Danger
    _yes_no(Kind.SMOKE, "røg", mdc=8519683, scaip=("0023", "0009")),
    _yes_no(Kind.CARBON_MONOXIDE, "kulilte (CO)", mdc=8519684, scaip=("0026", "0009")),
    _yes_no(Kind.GAS_DETECTED, "gas", mdc=8519686, scaip=("0021", "0009")),
    _yes_no(Kind.WET, "vand eller fugt på gulvet", mdc=8519685, scaip=("0033", "0009")),
    _yes_no(Kind.HEAT, "unormal varme", scaip=("0025", "0009")),
    _yes_no(Kind.COLD, "unormal kulde"),
    _yes_no(Kind.SAFE, "sikkert"),
    _yes_no(Kind.PROBLEM, "udstyret melder problem", scaip=("0031", "0105")),
    _yes_no(Kind.TAMPERED, "udstyret er pillet ved", scaip=("0038", "0125")),
    # A person presses
    _press(Kind.BUTTON, "knap trykket", mdc=8519682, scaip=("0003", "0010")),
    _press(Kind.CALL_PRESSED, "nødkaldsknap trykket", mdc=8519682, scaip=("0003", "0010")),
    _press(Kind.CALL_TEST, "prøvekald", scaip=("0003", "0102")),
    _press(Kind.COMMAND, "fjernbetjening brugt"),
    _number(Kind.DIMMER, "1", 0, 255, "drejeknap drejet, antal trin"),
    # The citizen
    _number(
        Kind.BODY_TEMPERATURE,
        "Cel",
        30,
        45,
        "kropstemperatur",
        loinc="8310-5",
        npu="NPU08676",
        mdc=150364,
    ),
    _number(Kind.INTERMEDIATE_TEMPERATURE, "Cel", 0, 60, "kropstemperatur under måling"),
    _number(
        Kind.BP_SYSTOLIC,
        "mm[Hg]",
        40,
        300,
        "blodtryk, systolisk",
        loinc="8480-6",
        npu="DNK05472",
        mdc=150021,
    ),
    _number(
        Kind.BP_DIASTOLIC,
        "mm[Hg]",
        20,
        200,
        "blodtryk, diastolisk",
        loinc="8462-4",
        npu="DNK05473",
        mdc=150022,
    ),
    _number(Kind.BP_MEAN, "mm[Hg]", 25, 250, "blodtryk, middel", loinc="8478-0", mdc=150023),
    _number(Kind.CUFF_PRESSURE, "mm[Hg]", 0, 300, "manchettens tryk under måling"),
    _number(Kind.HEART_RATE, "/min", 20, 300, "puls", loinc="8867-4", npu="NPU21692"),
    _number(Kind.SPO2, "%", 40, 100, "iltmætning", loinc="2708-6", npu="NPU03011", mdc=150456),
    _number(Kind.PULSE_AMPLITUDE, "%", 0, 30, "pulsens styrke i fingeren"),
    _number(Kind.BODY_WEIGHT, "kg", 15, 300, "vægt", loinc="29463-7", npu="NPU03804", mdc=188736),
    _number(Kind.BODY_HEIGHT, "m", 0.5, 2.5, "højde"),
    _number(Kind.BMI, "kg/m2", 8, 100, "BMI"),
    _number(Kind.BODY_FAT, "%", 2, 75, "fedtprocent"),
    _number(Kind.FAT_FREE_MASS, "kg", 10, 150, "fedtfri masse"),
    _number(Kind.MUSCLE_MASS, "kg", 5, 150, "muskelmasse"),
    _number(Kind.MUSCLE_SHARE, "%", 5, 100, "muskelprocent"),
    _number(Kind.SOFT_LEAN_MASS, "kg", 5, 150, "blødt fedtfrit væv"),
    _number(Kind.BODY_WATER_MASS, "kg", 5, 150, "vand i kroppen"),
    _number(Kind.BASAL_METABOLISM, "kJ/d", 1_000, 20_000, "hvilestofskifte"),
    _number(Kind.IMPEDANCE, "Ohm", 50, 3_000, "kroppens elektriske modstand"),
    _number(
        Kind.GLUCOSE, "mmol/L", 0.5, 60, "blodsukker", loinc="15074-8", npu="NPU22089", mdc=160184
    ),
    _number(Kind.CONTROL_GLUCOSE, "mmol/L", 0.5, 60, "kontrolopløsning målt"),
    _number(Kind.TISSUE_GLUCOSE, "mmol/L", 0.5, 60, "vævsglukose"),
    _number(Kind.GLUCOSE_TREND, "mmol/L/min", -2, 2, "vævsglukosens ændring"),
    _event(Kind.GLUCOSE_CONTEXT, "oplysning til blodsukkermåling"),
    _number(Kind.CARBOHYDRATE, "kg", 0, 1, "kulhydrat spist"),
    _number(Kind.EXERCISE, "s", 0, 65_534, "motion"),
    _number(Kind.MEDICATION_MASS, "kg", 0, 0.1, "medicin taget, masse"),
    _number(Kind.MEDICATION_VOLUME, "L", 0, 0.1, "medicin taget, rumfang"),
    _number(Kind.HBA1C, "%", 2, 25, "langtidsblodsukker (HbA1c)"),
    _number(Kind.ENERGY_EXPENDED, "kJ", 0, 65_535, "energi brugt"),
    _number(Kind.BEAT_INTERVAL, "s", 0.2, 3, "tid mellem hjerteslag"),
    # The air, the room and the meters
    _number(Kind.TEMPERATURE, "Cel", -40, 85, "temperatur", mdc=8519694),
    _number(Kind.HUMIDITY, "%", 0, 100, "luftfugtighed"),
    _number(Kind.DEW_POINT, "Cel", -80, 60, "dugpunkt"),
    _number(Kind.PRESSURE, "hPa", 300, 1100, "lufttryk"),
    _number(Kind.ILLUMINANCE, "lx", 0, 200_000, "belysning"),
    _number(Kind.LIGHT_LEVEL, "1", None, None, "lysniveau"),
    _number(Kind.UV_INDEX, "1", 0, 20, "UV-indeks"),
    _number(Kind.CO2, "[ppm]", 0, 40_000, "kuldioxid (CO₂)"),
    _number(Kind.TVOC, "ug/m3", 0, 60_000, "flygtige organiske stoffer"),
    _number(Kind.PM2_5, "ug/m3", 0, 10_000, "fine partikler (PM2,5)"),
    _number(Kind.PM10, "ug/m3", 0, 10_000, "partikler (PM10)"),
    _number(Kind.MOISTURE, "%", 0, 100, "fugt"),
    _number(Kind.CONDUCTIVITY, "uS/cm", 0, 50_000, "ledningsevne"),
    _number(Kind.PRECIPITATION, "mm", 0, 5_000, "nedbør"),
    _number(Kind.MASS, "kg", 0, 500, "vægt på målt genstand"),
    _number(Kind.COUNT, "1", None, None, "tæller"),
    _number(Kind.ENERGY, "kW.h", 0, None, "energiforbrug"),
    _number(Kind.POWER, "W", -100_000, 100_000, "effekt"),
    _number(Kind.CURRENT, "A", -1_000, 1_000, "strømstyrke"),
    _number(Kind.VOLTAGE, "V", 0, 1_000, "spænding"),
    _number(Kind.VOLUME, "L", 0, None, "rumfang"),
    _number(Kind.STORED_VOLUME, "L", 0, None, "beholdning"),
    _number(Kind.WATER_VOLUME, "L", 0, None, "vandforbrug"),
    _number(Kind.GAS_VOLUME, "m3", 0, None, "gasforbrug"),
    _number(Kind.VOLUME_FLOW, "m3/h", 0, 100, "gennemstrømning"),
    _number(Kind.DISTANCE, "m", 0, None, "afstand"),
    _number(Kind.DURATION, "s", 0, None, "varighed"),
    _number(Kind.SPEED, "m/s", -300, 300, "hastighed"),
    _number(Kind.ACCELERATION, "m/s2", -2_000, 2_000, "acceleration"),
    _number(Kind.ANGULAR_SPEED, "deg/s", -4_000, 4_000, "drejehastighed"),
    _number(Kind.ROTATIONAL_SPEED, "/min", 0, 65_535, "omdrejninger"),
    _number(Kind.ROTATION, "deg", -360, 360, "drejning"),
    _number(Kind.DIRECTION, "deg", 0, 360, "retning"),
    # 2014 to 2100: a device whose clock was never set says 1970
    _number(Kind.TIMESTAMP, "s", 1_400_000_000, 4_102_444_800, "udstyrets ur (s siden 1970, UTC)"),
    # The device itself
    _number(Kind.BATTERY, "%", 0, 100, "batteriniveau"),
    _yes_no(Kind.BATTERY_LOW, "lavt batteri", scaip=("0031", "0016")),
    _event(Kind.BATTERY_EMPTY, "batteri tomt", scaip=("0031", "0014")),
    _yes_no(Kind.BATTERY_CHARGING, "batteri oplades"),
    _event(Kind.MAINS_LOST, "strømafbrydelse", scaip=("0041", "0085")),
    _event(Kind.MAINS_RESTORED, "strøm tilbage", scaip=("0041", "0086")),
    _event(Kind.HEARTBEAT, "livstegn"),
    _event(Kind.TEST_EVENT, "afprøvning", scaip=("0031", "0102")),
    _event(Kind.UNKNOWN_EVENT, "ukendt hændelse"),
    _number(Kind.CHANNEL, "1", 0, 255, "kanal"),
    _number(Kind.SETTINGS_REVISION, "1", 0, 255, "indstillingernes version"),
    _number(Kind.DEVICE_TYPE, "1", 0, 65_535, "udstyrets typenummer"),
    _text(Kind.FIRMWARE, "udstyrets programversion"),
    _text(Kind.TEXT, "tekst"),
    _text(Kind.RAW, "rå data"),
    # The medicine dispenser
    _event(Kind.DOSE_DUE, "medicin venter", scaip=(_DISPENSER, "0082")),
    _event(Kind.DOSE_DISPENSED, "dosis udleveret", mdc=8532992),
    _event(Kind.DOSE_TAKEN, "dosis taget", scaip=(_DISPENSER, "0083")),
    _event(Kind.DOSE_TAKEN_EARLY, "dosis taget før tid"),
    _event(Kind.DOSE_TAKEN_LATE, "dosis taget for sent"),
    _event(Kind.DOSE_MISSED, "dosis ikke taget", scaip=(_DISPENSER, "0081")),
    _event(Kind.DOSE_UNCONFIRMED, "dosis ikke bekræftet"),
    _event(Kind.DOSE_WITHHELD, "dosis holdt tilbage"),
    _event(Kind.WITHHELD_DRAWER_FULL, "skuffen med tilbageholdte doser er fuld"),
    _event(Kind.DOSE_SKIPPED, "dosis sprunget over"),
    _event(Kind.TRAVEL_DOSE_RELEASED, "dosis udleveret til en rejse"),
    _event(Kind.SCHEDULE_MISSING, "dispenseren har ingen doseringsplan"),
    _event(Kind.SCHEDULE_CHANGED, "dispenserens doseringsplan er ændret"),
    _event(Kind.DISPENSE_BLOCKED, "udlevering blokeret", scaip=(_DISPENSER, "0042")),
    _event(Kind.JAM, "dispenser sidder fast", scaip=(_DISPENSER, "0052")),
    _event(Kind.DEVICE_ERROR, "fejl på udstyret", scaip=(_DISPENSER, "0067")),
    _number(Kind.DOSES_LEFT, "1", 0, 254, "doser tilbage"),
    _event(Kind.REFILL_LOW, "snart tom for medicin"),
    _event(Kind.REFILL_EMPTY, "tom for medicin"),
    _event(Kind.REFILL_DONE, "påfyldning udført"),
    _event(Kind.TRAY_OPEN, "skuffe åbnet"),
    _event(Kind.TRAY_CLOSED, "skuffe lukket"),
    _event(Kind.TILTED, "vendt på hovedet"),
)

CATALOGUE: Mapping[Kind, Meaning] = {meaning.kind: meaning for meaning in _MEANINGS}
"""Every kind has exactly one row (held by a test)."""
