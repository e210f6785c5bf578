"""Tables [data], [frontend] and [model]: what comes in, who conditions it, and perhaps a trained model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gatewright.config.section import Count, Fraction, Number, Section, Seed


def _nonempty(source: str) -> str:
    if not source.strip():
        raise ValueError("must name a file, a folder or a SCHEME:NAME, not nothing")
    return source


Source = Annotated[str, AfterValidator(_nonempty)]
Column = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""A column's name; a number, of a header of numbers or of a file without one, is taken for its text."""
RecordLength = Annotated[int, Field(ge=0, le=1_000_000)]
Pixels = Annotated[int, Field(ge=1, le=8192)]


class Window(Section):
    """Keep samples start .. start+length-1 of the last axis. length 0 keeps everything after start."""

    start: Count = 0
    length: Count = 0


class Subsample(Section):
    """Reduce the last axis by `factor`: keep every factor-th sample, or average each group (floor of the mean)."""

    factor: int = Field(default=1, ge=1, le=2**31 - 1)
    mode: Literal["decimate", "average"] = "decimate"


class Trigger(Section):
    """Find the window: it begins `pretrigger` samples before the first edge of a record, and has window.length samples.

    An edge is a sample of `threshold` or more (edge "falling": or less) behind one below threshold - hysteresis (above
    threshold + hysteresis), nothing of threshold or more between them; holdoff: samples behind a window in which the
    chip takes no edge. Raw samples are compared, before the baseline is subtracted. Records without such a window are
    left out. See docs/trigger.
    """

    threshold: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
    hysteresis: Count = 0
    pretrigger: Count = 0
    holdoff: Count = 0
    edge: Literal["rising", "falling"] = "rising"


class Baseline(Section):
    """Subtract the mean of the window's first `samples`, a power of two; 0: nothing. Of whole numbers it is rounded."""

    samples: Annotated[int, Field(ge=0, le=65_536)] = 0


class Generator(Section):
    """Settings of a physics generator: number of pulses and seed."""

    count: int = Field(default=8000, ge=40, le=10_000_000)
    seed: Seed = 2024


class Data(Section):
    """Where the data is, how it is split, and how samples become the hardware's input integers.

    source: a path (docs/data lists the formats: tables, arrays, waveforms, folders with a class each),
    `sklearn:NAME`, `generator:NAME` (cosmic, clyc) or `python:MODULE:FUNCTION`.
    label_column: of a table; label_columns: a regression's several targets. feature_columns: names, patterns and ranges
    (`adc_*`, `t0:t63`) of a table's columns, () for all others; exclude_columns: those that are no features.
    missing: what happens to gaps: "error", "drop" the row, "mean" of the training rows. missing_values: what a gap is
    written as besides ("OL", "-999"). exclude_classes: labels whose rows are left out; exclude_files: patterns of a
    folder's files that are no samples ("*_mask*", "masks/*"). separator, decimal, header: how a table is written,
    where what is seen in it is wrong (docs/data). table: the tree of a ROOT file with several.
    rows: what a sample is in LabVIEW's and oscilloscopes' files, a line or a whole curve ("records"); "auto": a line
    where a label's column is named. record_length: samples of a row, into which longer records are cut; 0: as they are.
    sample_type: of WaveDump's binary files. x_key, y_key: arrays of .npz, HDF5 and MATLAB files. image_size: height,
    width.
    input_format: `ufixed<W,I>` / `fixed<W,I>`, W bits with I integer bits; scaling: "none" takes numbers as
    they are (an ADC's codes), "range" maps each feature's training minimum..maximum to the format, "standard"
    subtracts the training mean and divides by the training deviation per feature. input_format "auto": of a [model]
    with an input quantizer its format, else what the samples need: exact where that is narrow (docs/data).
    """

    source: Source
    labels: str = ""
    label_column: Column = ""
    label_columns: tuple[Column, ...] = ()
    feature_columns: tuple[Column, ...] = ()
    exclude_columns: tuple[Column, ...] = ()
    group_column: Column = ""
    split_column: Column = ""
    missing: Literal["error", "drop", "mean"] = "error"
    missing_values: tuple[Column, ...] = ()
    exclude_classes: tuple[Column, ...] = ()
    exclude_files: tuple[str, ...] = ()
    separator: str = ""
    decimal: Literal["auto", ".", ","] = "auto"
    header: Literal["auto", "yes", "no"] = "auto"
    table: str = ""
    rows: Literal["auto", "lines", "records"] = "auto"
    record_length: RecordLength = 0
    sample_type: Literal["uint8", "uint16", "float32"] = "uint16"
    x_key: str = "x"
    y_key: str = "y"
    group_key: str = ""
    split_key: str = ""
    image_size: tuple[Pixels, Pixels] | None = None
    image_mode: Literal["gray", "rgb"] = "gray"
    validation_fraction: Fraction = 0.15
    test_fraction: Fraction = 0.20
    split_seed: Seed = 0
    input_format: str = "ufixed<8,8>"
    scaling: Literal["none", "range", "standard"] = "none"
    window: Window = Window()
    trigger: Trigger | None = None
    baseline: Baseline = Baseline()
    subsample: Subsample = Subsample()
    generator: Generator = Generator()

    @model_validator(mode="after")
    def _conditioned(self) -> Data:
        trigger, window, count = self.trigger, self.window, self.baseline.samples
        if trigger is not None and (window.start or window.length <= trigger.pretrigger):
            raise ValueError(
                "trigger says where a window begins, so window.start must be 0 and window.length the samples of a "
                f"window, more than trigger.pretrigger ({trigger.pretrigger}), not {window.start} and {window.length}"
            )
        if count & (count - 1) or (window.length and count > window.length):
            most = f" and at most window.length ({window.length})" if window.length else ""
            raise ValueError(f"baseline.samples must be a power of two{most}, not {count}")
        return self


class FrontEnd(Section):
    """The chip conditions by itself: an endless stream of ADC samples in, a result for each window; see docs/trigger.

    What [data] says of trigger, window, baseline and subsample becomes a unit in front of the network.
    adc_format: of the samples, whole numbers; empty: data.input_format. stride: without a trigger a window begins every
    so many samples; 0: as many as a record has. buffer: samples that the unit's ring holds, a power of two; 0: at least
    twice a window.
    """

    adc_format: str = ""
    stride: Annotated[int, Field(ge=0, le=2**24)] = 0
    buffer: Annotated[int, Field(ge=0, le=2**20)] = 0


class Model(Section):
    """A trained model that takes the place of the teacher that gatewright would train; see docs/models.

    file: Keras, ONNX, torch, XGBoost, LightGBM or a saved graph; weights: the .h5 beside a Keras .json. Relative paths
    start at this file.
    quantize: "exact" takes the model's own quantizers to hardware; "post-training" calibrates formats of weight_bits,
    activation_bits and table_bits on the training split; "qat" lets the model teach a student, as [student] and
    [distill] say; "auto" is "exact" for a model with quantizers or precisions, "post-training" for trees, else "qat".
    start: what the student's training starts from with "qat": "model" takes the model's layers and weights,
    "random" the layers of student.hidden; "auto" is "model" where the model is dense layers with ReLU between.
    precision: formats as hls4ml's users write them, a table or a .json or .toml file of one.
    inputs: "conditioned" if the model reads what [data] makes of a sample, as real numbers; "raw" if it was trained on
    samples before [data] scaled them. It is given that number * input_scale + input_offset (one, or one per feature).
    output_format: of a regression that ends in a real number, e.g. a sigmoid.
    """

    file: str
    weights: str = ""
    quantize: Literal["auto", "exact", "post-training", "qat"] = "auto"
    start: Literal["auto", "model", "random"] = "auto"
    precision: str | dict[str, Any] = ""
    inputs: Literal["conditioned", "raw"] = "conditioned"
    input_scale: Number | tuple[Number, ...] = 1.0
    input_offset: Number | tuple[Number, ...] = 0.0
    output_format: str = ""
    weight_bits: Annotated[int, Field(ge=2, le=24)] = 8
    activation_bits: Annotated[int, Field(ge=1, le=24)] = 8
    table_bits: Annotated[int, Field(ge=1, le=24)] = 10
    bias_correction: bool = True
