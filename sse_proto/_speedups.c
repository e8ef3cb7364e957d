/* The decoder in C.
 *
 * `_decoder.py` is the definition: this is the same machine, with the same names, results, errors
 * and messages, for the same chunks. It follows "Parsing an event stream" and "Interpreting an
 * event stream" (HTML Standard, 9.2.5 and 9.2.6), and does no I/O.
 *
 * The Python decoder works block by block, since that is where Python is fast. This one works as
 * the standard is written, line by line, and looks at a line where it lies: in the caller's buffer,
 * or, if a chunk cut it, in `line`. From there data goes straight into the event; only data of more
 * than one line, or from more than one chunk, is copied (into `data`) before.
 *
 * Locks. The GIL is never released: a chunk is microseconds of work, less than taking it again may
 * cost. Without a GIL, each method holds the critical section of its decoder. Neither keeps out
 * Python code that runs inside a call, of which there is one kind: finalizers, called when an
 * allocation sets off a garbage collection, or when the first `last_event_id` (any object) goes.
 * `running` keeps those from changing a decoder in the middle of a line.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(PYPY_VERSION) || defined(GRAALVM_PYTHON)
#error "events are laid out as CPython does it; elsewhere the decoder in Python is faster anyway"
#endif

#ifndef Py_BEGIN_CRITICAL_SECTION /* before Python 3.13 the GIL does it */
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

/* Bytes. As in _decoder.py: a test compares the signatures, so that they cannot drift apart. */
#define DEFAULT_MAX_EVENT_SIZE 16777216
#define TEXT_OF(constant) TEXT_OF_(constant)
#define TEXT_OF_(constant) #constant

/* Longest `retry` value that counts, in significant digits. */
#define MAX_RETRY_DIGITS 640

/* The size of the unfinished event is checked at the end of each block, of each chunk, and within a
 * larger chunk at the first end-of-line after each so many bytes. */
#define WINDOW (64 * 1024)

/* The longest beginning of a line that shows whether it is a field: that of "retry:". */
#define LONGEST_PREFIX 6

/* Larger buffers are given back after the event that needed them. */
#define KEPT_CAPACITY (64 * 1024)

static const char BOM[] = "\xef\xbb\xbf";
#define BOM_LENGTH 3
#define BOM_DECIDED 4

/* Bytes that are decoded in one step. */
#define STEP 32

typedef struct {
    PyTypeObject *event_class;   /* ServerSentEvent */
    PyTypeObject *raw_class;     /* RawEvent */
    PyObject *too_large_class;   /* EventTooLarge */
    PyObject *message;           /* "message", interned */
} ModuleState;

typedef struct {
    char *bytes;
    Py_ssize_t length;
    Py_ssize_t capacity;
} Buffer;

typedef enum { NOT_REFUSED, REFUSED_TOO_LARGE, REFUSED_CLOSED } Refusal;

typedef struct {
    PyObject_HEAD

    /* What feed() needs of the module, which may be torn down before this object. */
    ModuleState module;

    /* Options. `limit` is `max_event_size` for comparison with a size. */
    PyObject *max_event_size;
    Py_ssize_t limit;
    bool dispatch_empty;

    /* What outlives its event. Never NULL. */
    PyObject *last_event_id;
    PyObject *reconnection_time;

    /* How many bytes of a byte order mark the stream began with; BOM_DECIDED afterwards. */
    unsigned char bom;
    /* True after a chunk that ends in CR: an LF opening the next one belongs to it, and is no line
     * of its own. The line that the CR ends is not held back for it. */
    bool skip_lf;
    /* True while a call may change what follows. */
    bool running;

    /* The line that the chunks so far left unfinished; once it can be no field, its first
     * LONGEST_PREFIX bytes. */
    Buffer line;

    /* The block that the lines so far left unfinished: what its field lines hold, as they were
     * sent, each with one end-of-line; and the standard's buffers, the data buffer in one of two
     * forms. `value`, if not NULL, is the only line of data; it lies in the caller's chunk
     * (`value_in_chunk`) or in `line.bytes`, and never outlives the call. Otherwise `data` has the
     * lines, joined by LF. */
    Py_ssize_t size;
    bool has_data;
    bool value_in_chunk;
    const char *value;
    Py_ssize_t value_length;
    Buffer data;
    PyObject *event_type; /* NULL: not in this block */
    PyObject *event_id;   /* NULL: not in this block */
    PyObject *retry;      /* NULL: not in this block */

    /* The latest event type: streams repeat it, and so can the object. Never NULL. */
    PyObject *last_type;

    /* Why each further call of feed() raises; and whether no call has raised it so far. */
    Refusal refusal;
    bool deferred;
    Py_ssize_t refused_size;
} Decoder;

/* Where the events of one call go to, and where their data may lie. */
typedef struct {
    PyObject *events;
    bool raw;
    PyObject *chunk;         /* the caller's object, if it is immutable; else NULL */
    const char *chunk_bytes; /* the bytes of `chunk` */
    PyObject *chunk_view;    /* a memoryview of `chunk`, once an event needed it; else NULL */
} Output;

/* Buffers. */

static int
buffer_append(Buffer *buffer, const char *bytes, Py_ssize_t length)
{
    if (length > buffer->capacity - buffer->length) {
        if (length > PY_SSIZE_T_MAX - buffer->length) {
            PyErr_NoMemory();
            return -1;
        }
        /* An eighth more, as bytearray does: linear time, and little memory beside what is used. */
        Py_ssize_t capacity = buffer->length + length;
        Py_ssize_t spare = capacity / 8 + 64;
        if (spare <= PY_SSIZE_T_MAX - capacity) {
            capacity += spare;
        }
        char *moved = PyMem_Realloc(buffer->bytes, (size_t)capacity);
        if (moved == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        buffer->bytes = moved;
        buffer->capacity = capacity;
    }
    if (length > 0) {
        memcpy(buffer->bytes + buffer->length, bytes, (size_t)length);
        buffer->length += length;
    }
    return 0;
}

static void
buffer_clear(Buffer *buffer)
{
    buffer->length = 0;
    if (buffer->capacity > KEPT_CAPACITY) {
        PyMem_Free(buffer->bytes);
        buffer->bytes = NULL;
        buffer->capacity = 0;
    }
}

/* Text. */

/* Decode ASCII; NULL without an exception if it is something else. Copies and looks in one pass, in
 * steps that compilers make vectors of: 1.1x on one-line JSON events. What another thread may do to
 * the bytes meanwhile cannot bring anything else than ASCII into the text. */
static PyObject *
decode_ascii(const char *bytes, Py_ssize_t length)
{
    if (length < STEP) {
        return NULL;
    }
    PyObject *text = PyUnicode_New(length, 127);
    if (text == NULL) {
        return NULL;
    }
    char *copy = PyUnicode_DATA(text);
    Py_ssize_t done = 0;
    for (;;) {
        uint64_t words[STEP / 8];
        memcpy(words, bytes + done, STEP);
        memcpy(copy + done, words, STEP);
        uint64_t all = 0;
        for (int i = 0; i < STEP / 8; i++) {
            all |= words[i];
        }
        if (all & UINT64_C(0x8080808080808080)) {
            Py_DECREF(text);
            return NULL;
        }
        if (done == length - STEP) {
            return text;
        }
        /* The last step overlaps the one before. */
        done = done + STEP < length - STEP ? done + STEP : length - STEP;
    }
}

/* Decode UTF-8; what is invalid becomes U+FFFD, one for each maximal subpart. */
static PyObject *
decode(const char *bytes, Py_ssize_t length)
{
    PyObject *text = decode_ascii(bytes, length);
    if (text == NULL && !PyErr_Occurred()) {
        text = PyUnicode_DecodeUTF8(bytes, length, "replace");
    }
    return text;
}

/* Return the text of `bytes`: `known` itself, if that is its text. */
static PyObject *
decode_or_reuse(const char *bytes, Py_ssize_t length, PyObject *known)
{
    if (PyUnicode_CheckExact(known) && PyUnicode_IS_COMPACT_ASCII(known)
        && PyUnicode_GET_LENGTH(known) == length
        && memcmp(PyUnicode_DATA(known), bytes, (size_t)length) == 0) {
        return Py_NewRef(known);
    }
    return decode(bytes, length);
}

/* Lines and fields. */

/* Whether `line` is the field `name`; if so, set its value. */
static inline bool
is_field(const char *line, Py_ssize_t length, const char *name, Py_ssize_t name_length,
         const char **value, Py_ssize_t *value_length)
{
    if (length < name_length || memcmp(line, name, (size_t)name_length) != 0) {
        return false;
    }
    Py_ssize_t start = name_length;
    if (length > start) {
        if (line[start] != ':') {
            return false;
        }
        start++;
        if (length > start && line[start] == ' ') {
            start++;
        }
    }
    *value = line + start;
    *value_length = length - start;
    return true;
}

/* Whether the unfinished line is a field already: its name is complete only with the colon. */
static bool
begins_field(const char *line, Py_ssize_t length)
{
    return (length >= 5 && memcmp(line, "data:", 5) == 0)
        || (length >= 6 && memcmp(line, "event:", 6) == 0)
        || (length >= 3 && memcmp(line, "id:", 3) == 0)
        || (length >= 6 && memcmp(line, "retry:", 6) == 0);
}

/* Append to the unfinished line, unless it can be no field: then its beginning is enough. */
static int
extend_line(Decoder *self, const char *bytes, Py_ssize_t length)
{
    Py_ssize_t missing = LONGEST_PREFIX - self->line.length;
    if (length > missing) {
        if (missing > 0) {
            if (buffer_append(&self->line, bytes, missing) < 0) {
                return -1;
            }
            bytes += missing;
            length -= missing;
        }
        if (!begins_field(self->line.bytes, self->line.length)) {
            return 0;
        }
    }
    return buffer_append(&self->line, bytes, length);
}

/* Move the data into the decoder's own buffer. */
static int
keep_value(Decoder *self)
{
    if (self->value == NULL) {
        return 0;
    }
    self->data.length = 0;
    if (buffer_append(&self->data, self->value, self->value_length) < 0) {
        return -1;
    }
    self->value = NULL;
    return 0;
}

static int
add_data(Decoder *self, const char *value, Py_ssize_t length, bool in_chunk)
{
    if (!self->has_data) {
        self->has_data = true;
        self->value_in_chunk = in_chunk;
        self->value = value;
        self->value_length = length;
        return 0;
    }
    if (keep_value(self) < 0 || buffer_append(&self->data, "\n", 1) < 0) {
        return -1;
    }
    return buffer_append(&self->data, value, length);
}

/* Take over the value of a `retry` field, in milliseconds, if it is valid. */
static int
set_reconnection_time(Decoder *self, const char *value, Py_ssize_t length)
{
    if (length == 0) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return 0;
        }
    }
    while (length > 1 && *value == '0') {
        value++;
        length--;
    }
    PyObject *time;
    if (length <= 18) {
        long long number = 0;
        for (Py_ssize_t i = 0; i < length; i++) {
            number = 10 * number + (value[i] - '0');
        }
        time = PyLong_FromLongLong(number);
    }
    else if (length <= MAX_RETRY_DIGITS) {
        char digits[MAX_RETRY_DIGITS + 1];
        memcpy(digits, value, (size_t)length);
        digits[length] = '\0';
        time = PyLong_FromString(digits, NULL, 10);
    }
    else {
        return 0;
    }
    if (time == NULL) {
        return -1;
    }
    Py_XSETREF(self->retry, Py_NewRef(time));
    Py_SETREF(self->reconnection_time, time);
    return 0;
}

/* Process one line that is not blank (9.2.6), and that lies in the caller's chunk, or else in
 * `line.bytes`. */
static int
process_line(Decoder *self, const char *line, Py_ssize_t length, bool in_chunk)
{
    const char *value;
    Py_ssize_t value_length;
    int result = 0;

    switch (line[0]) {
    case 'd':
        if (!is_field(line, length, "data", 4, &value, &value_length)) {
            return 0;
        }
        result = add_data(self, value, value_length, in_chunk);
        break;
    case 'e':
        if (!is_field(line, length, "event", 5, &value, &value_length)) {
            return 0;
        }
        PyObject *type = decode_or_reuse(value, value_length, self->last_type);
        if (type == NULL) {
            return -1;
        }
        Py_XSETREF(self->event_type, Py_NewRef(type));
        Py_SETREF(self->last_type, type);
        break;
    case 'i':
        if (!is_field(line, length, "id", 2, &value, &value_length)) {
            return 0;
        }
        if (memchr(value, '\0', (size_t)value_length) == NULL) {
            PyObject *id = decode_or_reuse(value, value_length, self->last_event_id);
            if (id == NULL) {
                return -1;
            }
            Py_XSETREF(self->event_id, id);
        }
        break;
    case 'r':
        if (!is_field(line, length, "retry", 5, &value, &value_length)) {
            return 0;
        }
        result = set_reconnection_time(self, value, value_length);
        break;
    default: /* a comment, or no field of the standard */
        return 0;
    }
    self->size = length < PY_SSIZE_T_MAX - self->size ? self->size + length + 1 : PY_SSIZE_T_MAX;
    return result;
}

/* Process the line that ends after `rest`, and perhaps began in earlier chunks. */
static int
finish_line(Decoder *self, const char *rest, Py_ssize_t length)
{
    Py_ssize_t before = self->line.length;
    if (before == 0) {
        return process_line(self, rest, length, true);
    }
    /* The first line of a call: `value` is NULL, unless this line sets it. */
    if (extend_line(self, rest, length) < 0) {
        return -1;
    }
    length = self->line.length;
    self->line.length = 0; /* the bytes stay where they are, until the next line needs it */
    if (process_line(self, self->line.bytes, length, false) < 0) {
        return -1;
    }
    if (self->value != NULL && self->value - self->line.bytes >= before) {
        self->value = rest + (self->value - self->line.bytes - before);
        self->value_in_chunk = true;
    }
    return 0;
}

/* Reset what is kept of the unfinished block. */
static void
forget_block(Decoder *self)
{
    self->size = 0;
    self->has_data = false;
    self->value = NULL;
    buffer_clear(&self->data);
    if (self->line.length == 0) {
        buffer_clear(&self->line);
    }
    Py_CLEAR(self->event_type);
    Py_CLEAR(self->event_id);
    Py_CLEAR(self->retry);
}

/* Events. */

/* The data as a view: of the caller's chunk where that is possible, else of a copy. */
static PyObject *
view_of_data(Decoder *self, Output *out)
{
    const char *bytes = self->value != NULL ? self->value : self->data.bytes;
    Py_ssize_t length = self->value != NULL ? self->value_length : self->data.length;
    if (!self->has_data) {
        length = 0;
    }
    if (length > 0 && out->chunk != NULL && self->value != NULL && self->value_in_chunk) {
        if (out->chunk_view == NULL) {
            out->chunk_view = PyMemoryView_FromObject(out->chunk);
            if (out->chunk_view == NULL) {
                return NULL;
            }
        }
        Py_ssize_t start = bytes - out->chunk_bytes;
        return PySequence_GetSlice(out->chunk_view, start, start + length);
    }
    PyObject *copy = PyBytes_FromStringAndSize(length > 0 ? bytes : "", length);
    if (copy == NULL) {
        return NULL;
    }
    PyObject *view = PyMemoryView_FromObject(copy);
    Py_DECREF(copy);
    return view;
}

static PyObject *
text_of_data(Decoder *self)
{
    if (!self->has_data) {
        return PyUnicode_New(0, 0);
    }
    if (self->value != NULL) {
        return decode(self->value, self->value_length);
    }
    return decode(self->data.bytes, self->data.length);
}

/* Append the event of the block, whose ID has been taken over. */
static int
append_event(Decoder *self, Output *out)
{
    PyTypeObject *class = out->raw ? self->module.raw_class : self->module.event_class;
    PyObject *data = out->raw ? view_of_data(self, out) : text_of_data(self);
    if (data == NULL) {
        return -1;
    }
    PyTupleObject *event = PyObject_GC_NewVar(PyTupleObject, class, 4);
    if (event == NULL) {
        Py_DECREF(data);
        return -1;
    }
#if PY_VERSION_HEX >= 0x030E0000
    event->ob_hash = -1; /* not cached yet */
#endif
    PyObject *type = self->event_type;
    if (type == NULL || PyUnicode_GET_LENGTH(type) == 0) {
        type = self->module.message;
    }
    PyTuple_SET_ITEM(event, 0, Py_NewRef(type));
    PyTuple_SET_ITEM(event, 1, data);
    PyTuple_SET_ITEM(event, 2, Py_NewRef(self->last_event_id));
    PyTuple_SET_ITEM(event, 3, Py_NewRef(self->retry != NULL ? self->retry : Py_None));
    /* An event of str, int, None and a view of bytes can be in no cycle: the garbage collector need
     * not know it. What the caller gave as `last_event_id` might be anything. */
    if (self->last_event_id != Py_None && !PyUnicode_CheckExact(self->last_event_id)) {
        PyObject_GC_Track(event);
    }
    int result = PyList_Append(out->events, (PyObject *)event);
    Py_DECREF(event);
    return result;
}

/* The blank line: dispatch the event, if there is one. */
static int
end_block(Decoder *self, Output *out)
{
    bool has_field
        = self->event_type != NULL || self->event_id != NULL || self->retry != NULL;
    if (self->event_id != NULL) {
        PyObject *id = self->event_id;
        self->event_id = NULL;
        Py_SETREF(self->last_event_id, id);
    }
    int result = 0;
    if (self->has_data || (has_field && self->dispatch_empty)) {
        result = append_event(self, out);
    }
    forget_block(self);
    return result;
}

/* Chunks. */

/* Fail with EventTooLarge if the unfinished event is, `held` bytes of the unfinished line being
 * part of it. Returns 1 in that case, without an exception; else 0. */
static int
check_size(Decoder *self, Py_ssize_t held)
{
    if (self->size <= self->limit - held) {
        return 0;
    }
    self->refusal = REFUSED_TOO_LARGE;
    self->refused_size = held <= PY_SSIZE_T_MAX - self->size ? self->size + held : PY_SSIZE_T_MAX;
    self->deferred = true;
    return 1;
}

/* Pass over the byte order mark that may open the stream; return where its content starts. */
static const char *
strip_bom(Decoder *self, const char *start, const char *end)
{
    while (start < end && self->bom < BOM_LENGTH && *start == BOM[self->bom]) {
        self->bom++;
        start++;
    }
    if (self->bom == BOM_LENGTH) {
        self->bom = BOM_DECIDED;
    }
    else if (start < end) { /* it was none */
        Py_ssize_t begun = self->bom;
        self->bom = BOM_DECIDED;
        if (extend_line(self, BOM, begun) < 0) {
            return NULL;
        }
    }
    return start;
}

/* Decode a chunk, or a part of one up to an end-of-line. Returns -1 with an exception, 1 after
 * EventTooLarge, of which the caller decides when it is raised, else 0. */
static int
feed_window(Decoder *self, const char *start, const char *end, Output *out)
{
    int result = 0;

    if (self->bom != BOM_DECIDED) {
        start = strip_bom(self, start, end);
        if (start == NULL) {
            return -1;
        }
    }
    if (self->skip_lf && start < end) {
        self->skip_lf = false;
        if (*start == '\n') {
            start++;
        }
    }
    /* Most streams have no CR: one look ahead, instead of one at each line. */
    const char *next_cr = start < end ? memchr(start, '\r', (size_t)(end - start)) : NULL;

    while (start < end) {
        const char *limit = next_cr != NULL ? next_cr : end;
        const char *line_end = memchr(start, '\n', (size_t)(limit - start));
        const char *next;
        if (line_end != NULL) {
            next = line_end + 1;
        }
        else if (next_cr != NULL) {
            line_end = next_cr;
            next = next_cr + 1;
            if (next == end) {
                self->skip_lf = true;
            }
            else if (*next == '\n') {
                next++;
            }
            next_cr = next < end ? memchr(next, '\r', (size_t)(end - next)) : NULL;
        }
        else {
            break;
        }
        if (line_end == start && self->line.length == 0) {
            if ((result = check_size(self, 0)) != 0) {
                return result;
            }
            result = end_block(self, out);
        }
        else {
            result = finish_line(self, start, line_end - start);
        }
        if (result < 0) {
            return result;
        }
        start = next;
    }

    if (start < end) {
        /* `value` may lie where this line goes to. */
        if (keep_value(self) < 0 || extend_line(self, start, end - start) < 0) {
            return -1;
        }
    }
    Py_ssize_t held = self->line.length;
    return check_size(self, held > 0 && begins_field(self->line.bytes, held) ? held : 0);
}

/* Return the first end-of-line from `start` on, or `end`. In steps: an LF far behind many a CR must
 * not be looked for again and again. */
static const char *
find_line_end(const char *start, const char *end)
{
    while (start < end) {
        const char *stop = end - start > 4096 ? start + 4096 : end;
        const char *lf = memchr(start, '\n', (size_t)(stop - start));
        const char *limit = lf != NULL ? lf : stop;
        const char *cr = memchr(start, '\r', (size_t)(limit - start));
        if (cr != NULL || lf != NULL) {
            return cr != NULL ? cr : lf;
        }
        start = stop;
    }
    return end;
}

/* Decode a chunk in windows. */
static int
feed_bytes(Decoder *self, const char *bytes, Py_ssize_t length, bool in_windows, Output *out)
{
    if (length == 0) { /* there may be no `bytes` then */
        return 0;
    }
    const char *start = bytes;
    const char *end = bytes + length;
    int result = 0;
    while (in_windows && end - start > WINDOW && result == 0) {
        const char *window_end = find_line_end(start + WINDOW, end);
        if (window_end < end) {
            window_end++;
        }
        result = feed_window(self, start, window_end, out);
        start = window_end;
    }
    if (result == 0 && start < end) {
        result = feed_window(self, start, end, out);
    }
    if (result == 0) {
        result = keep_value(self); /* the caller's buffer is borrowed only for this call */
    }
    return result;
}

/* Errors. */

/* Raise as `raise exception from None` does. Steals the reference. */
static void
raise_from_none(PyObject *exception)
{
    if (exception != NULL) {
        PyException_SetCause(exception, NULL);
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
}

/* Raise why the decoder takes no more. May run Python code: nothing may be half done. */
static void
refuse(Decoder *self, Refusal refusal, Py_ssize_t size)
{
    self->deferred = false;
    if (refusal == REFUSED_TOO_LARGE) {
        raise_from_none(PyObject_CallFunction(self->module.too_large_class, "nO", size,
                                              self->max_event_size));
    }
    else {
        raise_from_none(PyObject_CallFunction(
            PyExc_ValueError, "s", "feed() after close(): a decoder is for one stream"));
    }
}

static void
raise_not_bytes_like(PyObject *chunk)
{
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(chunk), "__name__");
    if (name == NULL) {
        return;
    }
    const char *hint = PyUnicode_Check(chunk) ? "; pass the stream's bytes, undecoded" : "";
    PyObject *message = PyUnicode_FromFormat(
        "feed() takes bytes or a bytes-like object, not %S%s", name, hint);
    Py_DECREF(name);
    if (message != NULL) {
        raise_from_none(PyObject_CallOneArg(PyExc_TypeError, message));
        Py_DECREF(message);
    }
}

static int
start_running(Decoder *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the decoder is in use: called from within, or beside, its own feed()");
        return -1;
    }
    self->running = true;
    return 0;
}

/* Get the buffer of any bytes-like object. */
static int
get_buffer(PyObject *chunk, Py_buffer *view)
{
    if (PyObject_GetBuffer(chunk, view, PyBUF_FULL_RO) < 0) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            raise_not_bytes_like(chunk);
        }
        return -1;
    }
    if (view->itemsize != 1) {
        PyObject *format = PyUnicode_FromString(view->format != NULL ? view->format : "B");
        if (format != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "feed() takes items of 1 byte, not of %zd bytes (format %R);"
                         " pass memoryview(...).cast('B')",
                         view->itemsize, format);
            Py_DECREF(format);
        }
    }
    else if (!PyBuffer_IsContiguous(view, 'C')) {
        PyErr_SetString(PyExc_BufferError,
                        "feed() takes a contiguous buffer; pass a copy of this one");
    }
    else {
        return 0;
    }
    PyBuffer_Release(view);
    return -1;
}

/* The type. */

static PyObject *
feed_any(Decoder *self, PyObject *chunk, bool raw)
{
    if (self->refusal != NOT_REFUSED) {
        refuse(self, self->refusal, self->refused_size);
        return NULL;
    }
    Py_buffer view = {.obj = NULL};
    Output out = {.raw = raw};
    const char *bytes;
    Py_ssize_t length;
    bool in_windows = true;
    if (PyBytes_CheckExact(chunk)) {
        bytes = PyBytes_AS_STRING(chunk);
        length = PyBytes_GET_SIZE(chunk);
        out.chunk = chunk;
        out.chunk_bytes = bytes;
    }
    else {
        if (get_buffer(chunk, &view) < 0) {
            return NULL;
        }
        bytes = view.buf;
        length = view.len;
        in_windows = view.ndim == 1;
    }

    int result = -1;
    out.events = PyList_New(0);
    if (out.events != NULL && start_running(self) == 0) {
        result = feed_bytes(self, bytes, length, in_windows, &out);
        if (result != 0) {
            self->line.length = 0;
            forget_block(self);
        }
        self->running = false;
    }
    Py_XDECREF(out.chunk_view);
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    if (result > 0 && PyList_GET_SIZE(out.events) == 0) {
        refuse(self, REFUSED_TOO_LARGE, self->refused_size);
        result = -1;
    }
    if (result < 0) {
        Py_CLEAR(out.events);
    }
    return out.events;
}

PyDoc_STRVAR(feed_doc,
"feed($self, chunk, /)\n"
"--\n"
"\n"
"Decode one chunk of the event stream; return the events that it completed.\n"
"\n"
"The chunk is contiguous bytes, cut anywhere, and only borrowed. Raises EventTooLarge, by the\n"
"next call if this one completed events; ValueError once the decoder was closed; TypeError and\n"
"BufferError for what is no such chunk.");

static PyObject *
decoder_feed(PyObject *self, PyObject *chunk)
{
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_any((Decoder *)self, chunk, false);
    Py_END_CRITICAL_SECTION();
    return events;
}

PyDoc_STRVAR(feed_raw_doc,
"feed_raw($self, chunk, /)\n"
"--\n"
"\n"
"Decode one chunk as feed() does, but return events whose data is a read-only view of bytes.\n"
"\n"
"A view of the chunk itself if that is a bytes object in which the data is one line; else of a\n"
"private copy. The bytes are as they were sent: not checked to be UTF-8.");

static PyObject *
decoder_feed_raw(PyObject *self, PyObject *chunk)
{
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_any((Decoder *)self, chunk, true);
    Py_END_CRITICAL_SECTION();
    return events;
}

PyDoc_STRVAR(close_doc,
"close($self, /)\n"
"--\n"
"\n"
"Tell the decoder that the stream has ended. May be called again.\n"
"\n"
"The unfinished event, if there is one, is discarded, as the standard asks. Raises EventTooLarge\n"
"if the last feed() returned events, and left this to the next call.");

static int
close_locked(Decoder *self)
{
    if (start_running(self) < 0) {
        return -1;
    }
    self->line.length = 0;
    forget_block(self);
    self->running = false;
    Refusal refusal = self->refusal;
    self->refusal = REFUSED_CLOSED;
    if (self->deferred) {
        refuse(self, refusal, self->refused_size);
        return -1;
    }
    return 0;
}

static PyObject *
decoder_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    int result;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = close_locked((Decoder *)self);
    Py_END_CRITICAL_SECTION();
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef decoder_methods[] = {
    {"feed", decoder_feed, METH_O, feed_doc},
    {"feed_raw", decoder_feed_raw, METH_O, feed_raw_doc},
    {"close", decoder_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyObject *
get_max_event_size(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Decoder *)self)->max_event_size);
}

static PyObject *
get_dispatch_empty(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Decoder *)self)->dispatch_empty);
}

static PyObject *
get_last_event_id(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(self);
    value = Py_NewRef(((Decoder *)self)->last_event_id);
    Py_END_CRITICAL_SECTION();
    return value;
}

static PyObject *
get_reconnection_time(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(self);
    value = Py_NewRef(((Decoder *)self)->reconnection_time);
    Py_END_CRITICAL_SECTION();
    return value;
}

static PyGetSetDef decoder_attributes[] = {
    {"max_event_size", get_max_event_size, NULL,
     "Most bytes that an unfinished event may hold; None: no limit.", NULL},
    {"dispatch_empty", get_dispatch_empty, NULL,
     "Whether blocks that have fields but no data are dispatched.", NULL},
    {"last_event_id", get_last_event_id, NULL,
     "The last event ID, as of the last blank line; None: none was ever set.", NULL},
    {"reconnection_time", get_reconnection_time, NULL,
     "What the last valid `retry` field set, in milliseconds; None: there was none.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Set `limit` from `max_event_size`. */
static int
set_limit(Decoder *self)
{
    PyObject *size = self->max_event_size;
    self->limit = PY_SSIZE_T_MAX;
    if (size == Py_None) {
        return 0;
    }
    PyObject *one = PyLong_FromLong(1);
    int too_small = one == NULL ? -1 : PyObject_RichCompareBool(size, one, Py_LT);
    Py_XDECREF(one);
    if (too_small != 0) {
        if (too_small > 0) {
            PyErr_Format(PyExc_ValueError, "max_event_size must be at least 1 byte, not %S", size);
        }
        return -1;
    }
    PyObject *whole = PyNumber_Long(size);
    if (whole == NULL) {
        return -1;
    }
    Py_ssize_t limit = PyLong_AsSsize_t(whole);
    Py_DECREF(whole);
    if (limit == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* more than any object can hold */
        limit = PY_SSIZE_T_MAX;
    }
    self->limit = limit;
    return 0;
}

static PyObject *
decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"max_event_size", "last_event_id", "dispatch_empty", NULL};
    PyObject *max_event_size = NULL;
    PyObject *last_event_id = Py_None;
    int dispatch_empty = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOp:SSEDecoder", names, &max_event_size,
                                     &last_event_id, &dispatch_empty)) {
        return NULL;
    }
    ModuleState *module = PyType_GetModuleState(type);
    if (module == NULL) {
        return NULL;
    }
    Decoder *self = (Decoder *)type->tp_alloc(type, 0); /* zeroed */
    if (self == NULL) {
        return NULL;
    }
    self->module.event_class = (PyTypeObject *)Py_NewRef(module->event_class);
    self->module.raw_class = (PyTypeObject *)Py_NewRef(module->raw_class);
    self->module.too_large_class = Py_NewRef(module->too_large_class);
    self->module.message = Py_NewRef(module->message);
    self->last_type = Py_NewRef(module->message);
    self->last_event_id = Py_NewRef(last_event_id);
    self->reconnection_time = Py_NewRef(Py_None);
    self->dispatch_empty = dispatch_empty != 0;
    self->max_event_size = max_event_size != NULL ? Py_NewRef(max_event_size)
                                                  : PyLong_FromLong(DEFAULT_MAX_EVENT_SIZE);
    if (self->max_event_size == NULL || set_limit(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
visit_module_state(ModuleState *state, visitproc visit, void *arg)
{
    Py_VISIT(state->event_class);
    Py_VISIT(state->raw_class);
    Py_VISIT(state->too_large_class);
    Py_VISIT(state->message);
    return 0;
}

static void
clear_module_state(ModuleState *state)
{
    Py_CLEAR(state->event_class);
    Py_CLEAR(state->raw_class);
    Py_CLEAR(state->too_large_class);
    Py_CLEAR(state->message);
}

static int
decoder_traverse(PyObject *object, visitproc visit, void *arg)
{
    Decoder *self = (Decoder *)object;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->max_event_size);
    Py_VISIT(self->last_event_id);
    return visit_module_state(&self->module, visit, arg);
}

/* What may be in a cycle through the decoder. The rest stays, and with it a decoder that works. */
static int
decoder_clear(PyObject *object)
{
    Decoder *self = (Decoder *)object;
    if (self->last_event_id != NULL) {
        Py_SETREF(self->last_event_id, Py_NewRef(Py_None));
    }
    if (self->max_event_size != NULL) {
        Py_SETREF(self->max_event_size, Py_NewRef(Py_None));
    }
    return 0;
}

static void
decoder_dealloc(PyObject *object)
{
    Decoder *self = (Decoder *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    PyMem_Free(self->line.bytes);
    PyMem_Free(self->data.bytes);
    Py_XDECREF(self->max_event_size);
    Py_XDECREF(self->last_event_id);
    Py_XDECREF(self->reconnection_time);
    Py_XDECREF(self->event_type);
    Py_XDECREF(self->event_id);
    Py_XDECREF(self->retry);
    Py_XDECREF(self->last_type);
    clear_module_state(&self->module);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(decoder_doc,
"SSEDecoder(*, max_event_size=" TEXT_OF(DEFAULT_MAX_EVENT_SIZE)
", last_event_id=None, dispatch_empty=False)\n"
"--\n"
"\n"
"Incremental decoder of one event stream (one connection), in C.\n"
"\n"
"max_event_size: most bytes that an unfinished event may hold. None: no limit.\n"
"last_event_id: the last event ID to start with, from an earlier connection.\n"
"dispatch_empty: also dispatch blocks that have a valid field but no data.\n"
"\n"
"See sse_proto._decoder.SSEDecoder, and \"Server-sent events\", HTML Standard 9.2.");

static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, (void *)decoder_doc},
    {Py_tp_new, decoder_new},
    {Py_tp_dealloc, decoder_dealloc},
    {Py_tp_traverse, decoder_traverse},
    {Py_tp_clear, decoder_clear},
    {Py_tp_methods, decoder_methods},
    {Py_tp_getset, decoder_attributes},
    {0, NULL},
};

static PyType_Spec decoder_spec = {
    .name = "sse_proto._speedups.SSEDecoder",
    .basicsize = sizeof(Decoder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = decoder_slots,
};

/* The module. */

static PyObject *
import_class(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *class = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    if (class != NULL && !PyType_Check(class)) {
        PyErr_Format(PyExc_TypeError, "%s.%s is no class", module_name, name);
        Py_CLEAR(class);
    }
    return class;
}

/* Import a class of events. They are laid out here, without calling it. */
static PyTypeObject *
import_event_class(const char *name)
{
    PyTypeObject *class = (PyTypeObject *)import_class("sse_proto._events", name);
    if (class != NULL
        && (!PyType_IsSubtype(class, &PyTuple_Type)
            || class->tp_basicsize != PyTuple_Type.tp_basicsize
            || class->tp_itemsize != PyTuple_Type.tp_itemsize
            || class->tp_dictoffset != 0 || class->tp_weaklistoffset != 0)) {
        PyErr_Format(PyExc_TypeError, "%s is laid out unlike a tuple", name);
        Py_CLEAR(class);
    }
    return class;
}

static int
module_exec(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    state->event_class = import_event_class("ServerSentEvent");
    if (state->event_class == NULL) {
        return -1;
    }
    state->raw_class = import_event_class("RawEvent");
    if (state->raw_class == NULL) {
        return -1;
    }
    state->too_large_class = import_class("sse_proto._errors", "EventTooLarge");
    if (state->too_large_class == NULL) {
        return -1;
    }
    state->message = PyUnicode_InternFromString("message");
    if (state->message == NULL) {
        return -1;
    }
    PyObject *decoder = PyType_FromModuleAndSpec(module, &decoder_spec, NULL);
    if (decoder == NULL) {
        return -1;
    }
    int result = PyModule_AddType(module, (PyTypeObject *)decoder);
    Py_DECREF(decoder);
    return result;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return visit_module_state(PyModule_GetState(module), visit, arg);
}

static int
module_clear(PyObject *module)
{
    clear_module_state(PyModule_GetState(module));
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    /* No state outside of the module's own, and its instances'. */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_speedups",
    .m_doc = "The decoder in C: the same as sse_proto._decoder, and faster.",
    .m_size = sizeof(ModuleState),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&module_definition);
}
