/* The decoder in C: it binds sse_core.h to CPython, and has no rule of the standard in it.
 *
 * The machine says what is in the stream, as pointers and lengths. Here these become objects, and
 * refusals become exceptions: the same as those of `_feed.py`, for the same chunks.
 *
 * A call has two halves. First the chunk is decoded: no caller's code runs, and everything found is
 * put into lists. Then callbacks and the parser are called, while the machine is between two
 * chunks. If they raise, nothing is lost: the lists wait for the next call.
 *
 * Locks. The GIL is never released: a chunk is microseconds of work, less than taking it again may
 * cost. Without a GIL, each method holds its decoder's critical section. Neither keeps out Python
 * code that runs inside a call: callers' code in the second half; in the first half finalizers, run
 * when an allocation sets off a garbage collection, or when the first `last_event_id` (any object)
 * dies. `running` keeps all of these from changing the decoder.
 *
 * Memory. If an object cannot be made in the middle of a chunk, the rest of the chunk is lost, and
 * the thread of the stream with it: the decoder refuses each further call with MemoryError.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* So that tracemalloc sees it, and failures can be injected. */
static void *
reallocate(void *bytes, size_t size)
{
    if (size > 0) {
        return PyMem_Realloc(bytes, size);
    }
    PyMem_Free(bytes);
    return NULL;
}
#define SSE_REALLOC reallocate
#include "sse_core.h"

#include "_docstrings.h"

#if defined(PYPY_VERSION) || defined(GRAALVM_PYTHON)
#error "events are laid out as CPython does it; elsewhere the decoder in Python is faster anyway"
#endif

#ifndef Py_BEGIN_CRITICAL_SECTION /* before Python 3.13 the GIL does it */
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

#if PY_VERSION_HEX < 0x030C0000
static PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
}

static void
PyErr_SetRaisedException(PyObject *error)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
}
#endif

/* Bytes. As in _feed.py: a test compares the signatures, so they cannot drift apart. */
#define DEFAULT_MAX_EVENT_SIZE 16777216

/* Bytes that decode_ascii() takes in one step. */
#define STEP 32

/* The methods that feed, by the class of their events. */
typedef enum { TEXT, RAW, PARSED, KINDS } Kind;

typedef struct {
    PyTypeObject *classes[KINDS]; /* ServerSentEvent, RawEvent, ParsedEvent */
    PyObject *too_large_class;    /* EventTooLarge */
    PyTypeObject *by_event_class; /* by_event */
    PyObject *skip_class;         /* SkipEvent */
    PyObject *attach_event;       /* the function */
    PyObject *message;            /* "message", interned, as the names of by_event's attributes: */
    PyObject *parsers, *fallback;
} ModuleState;

typedef struct {
    PyObject_HEAD

    /* What feed() needs from the module, which may be torn down before this object. */
    ModuleState module;

    PyObject *max_event_size; /* as the caller gave it; `machine.limit` is its value */
    SSEMachine machine;

    /* What outlives its event. Never NULL. */
    PyObject *last_event_id;
    PyObject *reconnection_time;
    /* The latest event type: streams repeat it, and so can the object. Never NULL. */
    PyObject *last_type;

    /* Callables or NULL; `machine.observe` says the same. And the calls to make to them: a list of
     * pairs, the first `notes_done` of which have been made; NULL if there are none. */
    PyObject *on_comment;
    PyObject *on_ignored;
    PyObject *notes;
    Py_ssize_t notes_done;

    /* True while a call may change the decoder. */
    bool running;
    /* True after an SSE_TOO_LARGE that no call has raised yet, as there were events to return
     * first. */
    bool deferred;

    /* Events of a call that could not return them, or NULL; their kind; how many at the front are
     * parsed; what a parser raised, to be raised before any of them is returned, or NULL; and how
     * many bytes of chunks have come since. */
    PyObject *waiting;
    Kind waiting_kind;
    Py_ssize_t parsed;
    PyObject *parse_error;
    size_t held;
} Decoder;

/* The chunk, and what becomes of it in one call. */
typedef struct {
    Kind kind;
    PyObject *events;
    const char *bytes;
    Py_ssize_t length;
    PyObject *owner; /* the caller's object, if it is immutable; else NULL */
    PyObject *view;  /* a memoryview of `owner`, once an event needed it; else NULL */
    /* For PARSED alone: where the data of the events lies in `owner`, from event number `first` on.
     * It becomes bytes just before it is parsed, and dies right after: so all events take turns in
     * the same few cache lines, 1.1x on chat chunks. NULL: the event has its data. */
    SSESpan *spans;
    Py_ssize_t spans_count, spans_capacity, first;
} Chunk;

/* Text. */

/* Decode ASCII; NULL without an exception if it is something else. Copies and checks in one pass,
 * in steps that compilers vectorize: 1.1x on one-line JSON events. Whatever another thread does to
 * the bytes meanwhile, only ASCII gets into the text. */
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

/* Return the text of `bytes`: `known` itself, if that equals it. */
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

/* The integer of up to SSE_MAX_RETRY_DIGITS decimal digits. */
static PyObject *
number_of(SSESpan digits)
{
    if (digits.length <= 18) {
        long long number = 0;
        for (size_t i = 0; i < digits.length; i++) {
            number = 10 * number + (digits.bytes[i] - '0');
        }
        return PyLong_FromLongLong(number);
    }
    char text[SSE_MAX_RETRY_DIGITS + 1];
    memcpy(text, digits.bytes, digits.length);
    text[digits.length] = '\0';
    return PyLong_FromString(text, NULL, 10);
}

/* Events. */

/* Take over a new last event ID. The old one may run Python code as it dies; that finds the new one
 * in place. */
static int
set_last_event_id(Decoder *self, SSESpan id)
{
    PyObject *object = decode_or_reuse(id.bytes, (Py_ssize_t)id.length, self->last_event_id);
    if (object == NULL) {
        return -1;
    }
    Py_SETREF(self->last_event_id, object);
    return 0;
}

static int
set_reconnection_time(Decoder *self, SSESpan digits)
{
    PyObject *object = number_of(digits);
    if (object == NULL) {
        return -1;
    }
    Py_SETREF(self->reconnection_time, object);
    return 0;
}

/* The event type, as a new reference. */
static PyObject *
type_object(Decoder *self, SSESpan type)
{
    if (type.bytes == sse_message) {
        return Py_NewRef(self->module.message);
    }
    PyObject *object = decode_or_reuse(type.bytes, (Py_ssize_t)type.length, self->last_type);
    if (object != NULL && object != self->last_type) {
        Py_SETREF(self->last_type, Py_NewRef(object));
    }
    return object;
}

/* The data as a view: of the caller's chunk if possible, otherwise of a copy. */
static PyObject *
view_of_data(SSESpan data, Chunk *chunk)
{
    /* As numbers: pointers into different objects must not be compared. */
    uintptr_t start = (uintptr_t)data.bytes - (uintptr_t)chunk->bytes;
    if (data.length > 0 && chunk->owner != NULL && start < (uintptr_t)chunk->length) {
        if (chunk->view == NULL) {
            chunk->view = PyMemoryView_FromObject(chunk->owner);
            if (chunk->view == NULL) {
                return NULL;
            }
        }
        Py_ssize_t first = (Py_ssize_t)start;
        return PySequence_GetSlice(chunk->view, first, first + (Py_ssize_t)data.length);
    }
    PyObject *copy = PyBytes_FromStringAndSize(data.bytes, (Py_ssize_t)data.length);
    if (copy == NULL) {
        return NULL;
    }
    PyObject *view = PyMemoryView_FromObject(copy);
    Py_DECREF(copy);
    return view;
}

/* Note where the data of the next event lies. Returns -1 with an exception, else 0. */
static int
append_span(Chunk *chunk, SSESpan span)
{
    if (chunk->spans_count == chunk->spans_capacity) {
        Py_ssize_t capacity = 2 * chunk->spans_capacity + 64;
        SSESpan *moved = PyMem_Realloc(chunk->spans, (size_t)capacity * sizeof span);
        if (moved == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        chunk->spans = moved;
        chunk->spans_capacity = capacity;
    }
    chunk->spans[chunk->spans_count++] = span;
    return 0;
}

static PyObject *
data_for(SSESpan data, Chunk *chunk)
{
    if (chunk->kind == TEXT) {
        return decode(data.bytes, (Py_ssize_t)data.length);
    }
    if (chunk->kind == RAW) {
        return view_of_data(data, chunk);
    }
    bool is_in_chunk
        = (uintptr_t)data.bytes - (uintptr_t)chunk->bytes < (uintptr_t)chunk->length;
    if (chunk->owner != NULL && is_in_chunk) {
        return append_span(chunk, data) == 0 ? Py_NewRef(Py_None) : NULL;
    }
    if (append_span(chunk, (SSESpan){NULL, 0}) < 0) {
        return NULL;
    }
    return PyBytes_FromStringAndSize(data.bytes, (Py_ssize_t)data.length);
}

/* Give the event of this number its data, if that is still in the chunk only. */
static int
get_data(Chunk *chunk, Py_ssize_t number)
{
    Py_ssize_t index = number - chunk->first;
    if (index < 0 || index >= chunk->spans_count || chunk->spans[index].bytes == NULL) {
        return 0;
    }
    PyObject *data = PyBytes_FromStringAndSize(chunk->spans[index].bytes,
                                               (Py_ssize_t)chunk->spans[index].length);
    if (data == NULL) {
        return -1;
    }
    chunk->spans[index].bytes = NULL;
    PyTuple_SET_ITEM(PyList_GET_ITEM(chunk->events, number), 1, data); /* in place of None */
    Py_DECREF(Py_None);
    return 0;
}

/* Append an event to those of the chunk. */
static int
append_event(Decoder *self, const SSEEvent *found, Chunk *chunk)
{
    if (found->id.bytes != NULL && set_last_event_id(self, found->id) < 0) {
        return -1;
    }
    PyObject *data = data_for(found->data, chunk);
    if (data == NULL) {
        return -1;
    }
    PyObject *type = type_object(self, found->type);
    if (type == NULL) {
        Py_DECREF(data);
        return -1;
    }
    PyTypeObject *class = self->module.classes[chunk->kind];
    PyTupleObject *event = PyObject_GC_NewVar(PyTupleObject, class, 4);
    if (event == NULL) {
        Py_DECREF(data);
        Py_DECREF(type);
        return -1;
    }
#if PY_VERSION_HEX >= 0x030E0000
    event->ob_hash = -1; /* not cached yet */
#endif
    PyTuple_SET_ITEM(event, 0, type);
    PyTuple_SET_ITEM(event, 1, data);
    PyTuple_SET_ITEM(event, 2, Py_NewRef(self->last_event_id));
    PyTuple_SET_ITEM(event, 3, Py_NewRef(found->has_retry ? self->reconnection_time : Py_None));
    /* An event of str, int, None, bytes and a view of them cannot be in a cycle: the garbage
     * collector need not know it. What the caller gave as `last_event_id` might be anything. */
    if (self->last_event_id != Py_None && !PyUnicode_CheckExact(self->last_event_id)) {
        PyObject_GC_Track(event);
    }
    int result = PyList_Append(chunk->events, (PyObject *)event);
    Py_DECREF(event);
    return result;
}

/* Note that a callback is to be called with this text. */
static int
append_note(Decoder *self, PyObject *callback, SSESpan text)
{
    if (self->notes == NULL) {
        self->notes = PyList_New(0);
        if (self->notes == NULL) {
            return -1;
        }
    }
    PyObject *decoded = decode(text.bytes, (Py_ssize_t)text.length);
    PyObject *note = decoded != NULL ? PyTuple_Pack(2, callback, decoded) : NULL;
    Py_XDECREF(decoded);
    int result = note != NULL ? PyList_Append(self->notes, note) : -1;
    Py_XDECREF(note);
    return result;
}

/* Take in what the machine found. Returns -1 with an exception, else 0. */
static inline int
take_in(Decoder *self, SSEResult result, const SSEEvent *found, Chunk *chunk)
{
    switch (result) {
    case SSE_EVENT:
        return append_event(self, found, chunk);
    case SSE_ID:
        return set_last_event_id(self, found->id);
    case SSE_RETRY:
        return set_reconnection_time(self, found->text);
    case SSE_COMMENT:
        return append_note(self, self->on_comment, found->text);
    case SSE_IGNORED:
        return append_note(self, self->on_ignored, found->text);
    default:
        return 0;
    }
}

/* Decode a chunk. Returns -1 with an exception, else 0; `machine.refused` may be set then. */
static int
decode_chunk(Decoder *self, Chunk *chunk)
{
    SSEMachine *m = &self->machine;
    SSEEvent found;
    SSEResult result = sse_feed(m, chunk->bytes, (size_t)chunk->length);
    if (result == SSE_GO_ON) {
        do {
            result = sse_next(m, &found);
            if (take_in(self, result, &found, chunk) < 0) {
                sse_refuse(m, SSE_NO_MEMORY);
                return -1;
            }
        } while (result < SSE_CHUNK_END);
    }
    if (result == SSE_NO_MEMORY) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
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
raise_refusal(Decoder *self, SSEResult refusal)
{
    self->deferred = false;
    switch (refusal) {
    case SSE_TOO_LARGE:
        raise_from_none(PyObject_CallFunction(self->module.too_large_class, "nO",
                                              (Py_ssize_t)self->machine.size,
                                              self->max_event_size));
        break;
    case SSE_NO_MEMORY:
        PyErr_NoMemory();
        break;
    default:
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

static void
stop_waiting(Decoder *self)
{
    Py_CLEAR(self->waiting);
    self->held = 0;
    self->parsed = 0;
}

/* Whether there is a reason not to begin a call; if so, raise it. Getting a buffer may run Python
 * code, which may begin a call itself: so this is asked again once there is one. */
static bool
is_barred(Decoder *self, Kind kind)
{
    if (self->running) {
        start_running(self); /* fails */
        return true;
    }
    if (self->waiting != NULL && PyList_GET_SIZE(self->waiting) == 0 && self->parse_error == NULL
        && self->notes == NULL) {
        stop_waiting(self);
    }
    if (self->waiting != NULL && self->waiting_kind != kind) {
        PyObject *name = PyType_GetName(self->module.classes[self->waiting_kind]);
        if (name != NULL) {
            PyErr_Format(PyExc_RuntimeError, "events wait as %U: call that method with b''", name);
            Py_DECREF(name);
        }
        return true;
    }
    if (self->waiting == NULL && self->machine.refused != SSE_GO_ON) {
        raise_refusal(self, self->machine.refused);
        return true;
    }
    return false;
}

/* Lend the bytes of an object to `chunk`; `view` is to be released, unless its `obj` is NULL. */
static int
lend(PyObject *object, Chunk *chunk, Py_buffer *view)
{
    view->obj = NULL;
    if (PyBytes_CheckExact(object)) {
        chunk->bytes = PyBytes_AS_STRING(object);
        chunk->length = PyBytes_GET_SIZE(object);
        chunk->owner = object;
        return 0;
    }
    if (get_buffer(object, view) < 0) {
        return -1;
    }
    chunk->bytes = view->buf;
    chunk->length = view->len;
    return 0;
}

/* Whether a chunk may be taken while events wait: such chunks hold `max_event_size` at most. */
static int
check_held(Decoder *self, const Chunk *chunk)
{
    if (chunk->length > 0) {
        if ((size_t)chunk->length > self->machine.limit - self->held) {
            PyErr_SetString(PyExc_RuntimeError,
                            "too many events wait: call again with b'' first");
            return -1;
        }
        self->held += (size_t)chunk->length;
    }
    return 0;
}

/* Begin a call: the first half. Returns -1 with an exception, else 0. */
static int
take(Decoder *self, PyObject *object, Chunk *chunk)
{
    Py_buffer view;
    if (lend(object, chunk, &view) < 0) {
        return -1;
    }
    int result = -1;
    if (view.obj != NULL && is_barred(self, chunk->kind)) {
        /* raised */
    }
    else if (self->waiting == NULL) {
        chunk->events = PyList_New(0);
    }
    else if (check_held(self, chunk) == 0) {
        chunk->events = Py_NewRef(self->waiting);
    }
    if (chunk->events != NULL) {
        chunk->first = PyList_GET_SIZE(chunk->events);
        self->running = true;
        result = decode_chunk(self, chunk);
        self->running = false;
        Py_XDECREF(chunk->view);
    }
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    if (result == 0 && self->machine.refused != SSE_GO_ON) {
        self->deferred = true;
    }
    return result;
}

/* Call the callbacks. Returns -1 with an exception, else 0. */
static int
call_back(Decoder *self)
{
    int result = 0;
    self->running = true;
    while (result == 0 && self->notes_done < PyList_GET_SIZE(self->notes)) {
        PyObject *note = Py_NewRef(PyList_GET_ITEM(self->notes, self->notes_done));
        self->notes_done++;
        PyObject *returned
            = PyObject_CallOneArg(PyTuple_GET_ITEM(note, 0), PyTuple_GET_ITEM(note, 1));
        Py_DECREF(note);
        result = returned != NULL ? 0 : -1;
        Py_XDECREF(returned);
    }
    self->running = false;
    if (self->notes_done == PyList_GET_SIZE(self->notes)) {
        self->notes_done = 0;
        Py_CLEAR(self->notes);
    }
    return result;
}

/* End a call: return its events. Steals the reference to them. */
static PyObject *
finish(Decoder *self, PyObject *events)
{
    if (self->waiting != NULL) {
        stop_waiting(self);
    }
    if (self->deferred && PyList_GET_SIZE(events) == 0) {
        Py_DECREF(events);
        raise_refusal(self, SSE_TOO_LARGE);
        return NULL;
    }
    return events;
}

/* All of a call but parsing. Returns -1 with an exception; else 0, and a reference in
 * `chunk->events`. */
static int
feed_kind(Decoder *self, PyObject *object, Chunk *chunk)
{
    bool is_usual
        = !self->running && self->waiting == NULL && self->machine.refused == SSE_GO_ON;
    if (!is_usual && is_barred(self, chunk->kind)) {
        return -1;
    }
    if (self->machine.refused != SSE_GO_ON) {
        chunk->events = Py_NewRef(self->waiting);
    }
    else if (take(self, object, chunk) < 0) {
        Py_CLEAR(chunk->events);
        return -1;
    }
    if (self->notes != NULL) {
        Py_XSETREF(self->waiting, Py_NewRef(chunk->events));
        self->waiting_kind = chunk->kind;
        return call_back(self);
    }
    return 0;
}

static PyObject *
feed_any(Decoder *self, PyObject *object, Kind kind)
{
    Chunk chunk = {.kind = kind};
    if (feed_kind(self, object, &chunk) < 0) {
        Py_XDECREF(chunk.events);
        return NULL;
    }
    return finish(self, chunk.events);
}

/* Parsing. */

/* What is called with the data of events: `parse` itself; or, if it is a by_event, its parsers (no
 * Python code of its own need run: 1.1x on chat chunks). */
typedef struct {
    PyObject *parse;
    PyObject *parsers; /* a dict; NULL: call `parse` */
    PyObject *fallback; /* NULL: call `parse`, which raises what it must */
} Parser;

static int
get_parser(Decoder *self, PyObject *parse, Parser *parser)
{
    *parser = (Parser){.parse = parse};
    if (!Py_IS_TYPE(parse, self->module.by_event_class)) {
        return 0;
    }
    parser->parsers = PyObject_GetAttr(parse, self->module.parsers);
    parser->fallback = PyObject_GetAttr(parse, self->module.fallback);
    if (parser->parsers == NULL || parser->fallback == NULL) {
        return -1;
    }
    if (!PyDict_CheckExact(parser->parsers)) {
        Py_CLEAR(parser->parsers);
    }
    if (PyUnicode_Check(parser->fallback)) { /* "skip" or "error" */
        Py_CLEAR(parser->fallback);
    }
    return 0;
}

/* Return the value of an event, as a new reference. */
static PyObject *
parse_event(const Parser *parser, PyObject *event)
{
    PyObject *type = PyTuple_GET_ITEM(event, 0);
    PyObject *data = PyTuple_GET_ITEM(event, 1);
    if (parser->parsers != NULL) {
        PyObject *function = NULL;
        if (PyDict_GET_SIZE(parser->parsers) > 0) {
            function = PyDict_GetItemWithError(parser->parsers, type);
        }
        if (function == NULL) {
            if (PyErr_Occurred()) {
                return NULL;
            }
            function = parser->fallback;
        }
        if (function != NULL) {
            Py_INCREF(function); /* the dict may let go of it */
            PyObject *value = PyObject_CallOneArg(function, data);
            Py_DECREF(function);
            return value;
        }
    }
    PyObject *arguments[] = {NULL, type, data};
    return PyObject_Vectorcall(parser->parse, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               NULL);
}

/* Attach the event to the exception of its parser. Whatever goes wrong, the exception stays. */
static void
attach(Decoder *self, PyObject *event)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *none = PyObject_CallFunctionObjArgs(self->module.attach_event, error, event, NULL);
    if (none == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(none);
    PyErr_SetRaisedException(error);
}

static void
raise_deferred_error(Decoder *self)
{
    PyObject *error = self->parse_error;
    self->parse_error = NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

/* Replace the data with the value. Steals the reference to it. */
static void
set_value(PyObject *event, PyObject *value)
{
    PyObject *data = PyTuple_GET_ITEM(event, 1);
    PyTuple_SET_ITEM(event, 1, value);
    Py_DECREF(data);
    if (PyObject_IS_GC(value) && !PyObject_GC_IsTracked(event)) {
        PyObject_GC_Track(event);
    }
}

/* Remove the events from `parsed` up to this one: those skipped, and the one that failed. */
static int
drop_unparsed(Decoder *self, Chunk *chunk, Py_ssize_t next)
{
    if (next == self->parsed) {
        return 0;
    }
    chunk->first -= next - self->parsed;
    return PyList_SetSlice(chunk->events, self->parsed, next, NULL);
}

/* Parse the events that are not parsed yet, in place: `parsed` goes up to the first that failed,
 * and `events` loses those that are skipped. Returns -1 with the exception of the parser, else
 * 0. */
static int
parse_events(Decoder *self, const Parser *parser, Chunk *chunk)
{
    PyObject *events = chunk->events; /* nobody else has it */
    Py_ssize_t count = PyList_GET_SIZE(events);
    Py_ssize_t next = self->parsed;
    int result = 0;
    while (result == 0 && next < count) {
        PyObject *event = PyList_GET_ITEM(events, next);
        PyObject *value = get_data(chunk, next) == 0 ? parse_event(parser, event) : NULL;
        if (value != NULL) {
            set_value(event, value);
            /* Close the gap of those that were skipped. */
            PyObject *skipped = PyList_GET_ITEM(events, self->parsed);
            PyList_SET_ITEM(events, self->parsed, event);
            PyList_SET_ITEM(events, next, skipped);
            self->parsed++;
        }
        else if (PyErr_ExceptionMatches(self->module.skip_class)) {
            PyErr_Clear();
        }
        else {
            result = -1;
            if (!PyErr_ExceptionMatches(PyExc_Exception)) {
                break;
            }
            attach(self, event);
        }
        next++;
    }
    return drop_unparsed(self, chunk, next) < 0 ? -1 : result;
}

/* The second half of feed_parsed(). Returns the events, a new reference; NULL with an exception. */
static PyObject *
parse_and_finish(Decoder *self, PyObject *parse, Chunk *chunk)
{
    Parser parser;
    Py_XSETREF(self->waiting, Py_NewRef(chunk->events));
    self->waiting_kind = PARSED;
    if (self->parse_error != NULL) {
        raise_deferred_error(self);
        return NULL;
    }
    self->running = true;
    int result = get_parser(self, parse, &parser);
    if (result == 0) {
        result = parse_events(self, &parser, chunk);
    }
    Py_XDECREF(parser.parsers);
    Py_XDECREF(parser.fallback);
    self->running = false;
    if (result == 0) {
        return finish(self, Py_NewRef(chunk->events));
    }
    if (self->parsed == 0 || !PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    /* The events before the one that failed are returned; those after it wait. */
    self->parse_error = PyErr_GetRaisedException();
    PyObject *parsed = PyList_GetSlice(chunk->events, 0, self->parsed);
    if (parsed == NULL || PyList_SetSlice(chunk->events, 0, self->parsed, NULL) < 0) {
        Py_XDECREF(parsed);
        return NULL;
    }
    chunk->first -= self->parsed;
    self->parsed = 0;
    return parsed;
}

/* Leave a call whose events may have to wait: give them their data out of the chunk. */
static void
leave_chunk(Decoder *self, Chunk *chunk)
{
    if (self->waiting != NULL && self->waiting == chunk->events) {
        PyObject *error = PyErr_Occurred() ? PyErr_GetRaisedException() : NULL;
        for (Py_ssize_t next = self->parsed; next < PyList_GET_SIZE(chunk->events); next++) {
            if (get_data(chunk, next) < 0) { /* they are lost, and the stream with them */
                PyErr_Clear();
                sse_refuse(&self->machine, SSE_NO_MEMORY);
                stop_waiting(self);
                break;
            }
        }
        if (error != NULL) {
            PyErr_SetRaisedException(error);
        }
    }
    PyMem_Free(chunk->spans);
    Py_XDECREF(chunk->events);
}

static PyObject *
feed_parsed(Decoder *self, PyObject *object, PyObject *parse)
{
    Chunk chunk = {.kind = PARSED};
    PyObject *events = NULL;
    if (feed_kind(self, object, &chunk) == 0) {
        events = parse_and_finish(self, parse, &chunk);
    }
    leave_chunk(self, &chunk);
    return events;
}

/* The methods. */

static PyObject *
decoder_feed(PyObject *self, PyObject *chunk)
{
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_any((Decoder *)self, chunk, TEXT);
    Py_END_CRITICAL_SECTION();
    return events;
}

static PyObject *
decoder_feed_raw(PyObject *self, PyObject *chunk)
{
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_any((Decoder *)self, chunk, RAW);
    Py_END_CRITICAL_SECTION();
    return events;
}

static PyObject *
decoder_feed_parsed(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "feed_parsed() takes a chunk and a parser, not %zd arguments",
                     count);
        return NULL;
    }
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_parsed((Decoder *)self, arguments[0], arguments[1]);
    Py_END_CRITICAL_SECTION();
    return events;
}

static int
close_locked(Decoder *self)
{
    if (start_running(self) < 0) {
        return -1;
    }
    sse_close(&self->machine);
    self->running = false;
    if (self->parse_error != NULL) {
        raise_deferred_error(self);
        return -1;
    }
    if (self->deferred) {
        raise_refusal(self, SSE_TOO_LARGE);
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

static PyObject *
decoder_reduce(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    PyErr_SetString(PyExc_TypeError,
                    "an SSEDecoder is in the middle of its stream: it cannot be copied or pickled");
    return NULL;
}

static PyMethodDef decoder_methods[] = {
    {"feed", decoder_feed, METH_O, FEED_DOC},
    {"feed_raw", decoder_feed_raw, METH_O, FEED_RAW_DOC},
    {"feed_parsed", (PyCFunction)(void (*)(void))decoder_feed_parsed, METH_FASTCALL,
     FEED_PARSED_DOC},
    {"close", decoder_close, METH_NOARGS, CLOSE_DOC},
    {"__reduce__", decoder_reduce, METH_NOARGS, NULL},
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
    return PyBool_FromLong(((Decoder *)self)->machine.dispatch_empty);
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

static PyObject *
get_unfinished(PyObject *self, void *Py_UNUSED(closure))
{
    size_t unfinished;
    Py_BEGIN_CRITICAL_SECTION(self);
    unfinished = sse_unfinished(&((Decoder *)self)->machine);
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSize_t(unfinished);
}

static PyGetSetDef decoder_attributes[] = {
    {"max_event_size", get_max_event_size, NULL, MAX_EVENT_SIZE_DOC, NULL},
    {"dispatch_empty", get_dispatch_empty, NULL, DISPATCH_EMPTY_DOC, NULL},
    {"last_event_id", get_last_event_id, NULL, LAST_EVENT_ID_DOC, NULL},
    {"unfinished", get_unfinished, NULL, UNFINISHED_DOC, NULL},
    {"reconnection_time", get_reconnection_time, NULL, RECONNECTION_TIME_DOC, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static int
visit_module_state(ModuleState *state, visitproc visit, void *arg)
{
    for (int kind = 0; kind < KINDS; kind++) {
        Py_VISIT(state->classes[kind]);
    }
    Py_VISIT(state->too_large_class);
    Py_VISIT(state->by_event_class);
    Py_VISIT(state->skip_class);
    Py_VISIT(state->attach_event);
    Py_VISIT(state->message);
    Py_VISIT(state->parsers);
    Py_VISIT(state->fallback);
    return 0;
}

static void
clear_module_state(ModuleState *state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        Py_CLEAR(state->classes[kind]);
    }
    Py_CLEAR(state->too_large_class);
    Py_CLEAR(state->by_event_class);
    Py_CLEAR(state->skip_class);
    Py_CLEAR(state->attach_event);
    Py_CLEAR(state->message);
    Py_CLEAR(state->parsers);
    Py_CLEAR(state->fallback);
}

static void
copy_module_state(ModuleState *copy, const ModuleState *state)
{
    *copy = *state;
    for (int kind = 0; kind < KINDS; kind++) {
        Py_INCREF(copy->classes[kind]);
    }
    Py_INCREF(copy->too_large_class);
    Py_INCREF(copy->by_event_class);
    Py_INCREF(copy->skip_class);
    Py_INCREF(copy->attach_event);
    Py_INCREF(copy->message);
    Py_INCREF(copy->parsers);
    Py_INCREF(copy->fallback);
}

/* Set the machine's limit from `max_event_size`. */
static int
set_limit(Decoder *self)
{
    PyObject *size = self->max_event_size;
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
        PyErr_Clear(); /* more than any object can hold: none */
        return 0;
    }
    self->machine.limit = (size_t)limit < SSE_NO_LIMIT ? (size_t)limit : SSE_NO_LIMIT;
    return 0;
}

static PyObject *
decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"max_event_size", "last_event_id", "dispatch_empty",
                            "on_comment",     "on_ignored",    NULL};
    PyObject *max_event_size = NULL;
    PyObject *last_event_id = Py_None;
    int dispatch_empty = 0;
    PyObject *on_comment = Py_None;
    PyObject *on_ignored = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOpOO:SSEDecoder", names, &max_event_size,
                                     &last_event_id, &dispatch_empty, &on_comment, &on_ignored)) {
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
    copy_module_state(&self->module, module);
    self->last_type = Py_NewRef(module->message);
    self->last_event_id = Py_NewRef(last_event_id);
    self->reconnection_time = Py_NewRef(Py_None);
    sse_init(&self->machine);
    self->machine.dispatch_empty = dispatch_empty != 0;
    if (on_comment != Py_None) {
        self->on_comment = Py_NewRef(on_comment);
        self->machine.observe |= SSE_OBSERVE_COMMENTS;
    }
    if (on_ignored != Py_None) {
        self->on_ignored = Py_NewRef(on_ignored);
        self->machine.observe |= SSE_OBSERVE_IGNORED;
    }
    self->max_event_size = max_event_size != NULL ? Py_NewRef(max_event_size)
                                                  : PyLong_FromLong(DEFAULT_MAX_EVENT_SIZE);
    if (self->max_event_size == NULL || set_limit(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
decoder_traverse(PyObject *object, visitproc visit, void *arg)
{
    Decoder *self = (Decoder *)object;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->max_event_size);
    Py_VISIT(self->last_event_id);
    Py_VISIT(self->on_comment);
    Py_VISIT(self->on_ignored);
    Py_VISIT(self->notes);
    Py_VISIT(self->waiting);
    Py_VISIT(self->parse_error);
    return visit_module_state(&self->module, visit, arg);
}

/* What may be in a cycle through the decoder. The rest stays, so the decoder still works. */
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
    self->machine.observe = 0;
    Py_CLEAR(self->on_comment);
    Py_CLEAR(self->on_ignored);
    self->notes_done = 0;
    Py_CLEAR(self->notes);
    self->parsed = 0;
    Py_CLEAR(self->waiting);
    Py_CLEAR(self->parse_error);
    return 0;
}

static void
decoder_dealloc(PyObject *object)
{
    Decoder *self = (Decoder *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    sse_close(&self->machine);
    Py_XDECREF(self->max_event_size);
    Py_XDECREF(self->last_event_id);
    Py_XDECREF(self->reconnection_time);
    Py_XDECREF(self->last_type);
    Py_XDECREF(self->on_comment);
    Py_XDECREF(self->on_ignored);
    Py_XDECREF(self->notes);
    Py_XDECREF(self->waiting);
    Py_XDECREF(self->parse_error);
    clear_module_state(&self->module);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, (void *)DECODER_DOC},
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
import_name(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *object = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    return object;
}

static PyTypeObject *
import_class(const char *module_name, const char *name)
{
    PyObject *class = import_name(module_name, name);
    if (class != NULL && !PyType_Check(class)) {
        PyErr_Format(PyExc_TypeError, "%s.%s is not a class", module_name, name);
        Py_CLEAR(class);
    }
    return (PyTypeObject *)class;
}

/* Import a class of events. Its instances are laid out here, without calling it. */
static PyTypeObject *
import_event_class(const char *name)
{
    PyTypeObject *class = import_class("sse_proto._events", name);
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
    static const char *const names[KINDS] = {"ServerSentEvent", "RawEvent", "ParsedEvent"};
    ModuleState *state = PyModule_GetState(module);
    for (int kind = 0; kind < KINDS; kind++) {
        state->classes[kind] = import_event_class(names[kind]);
        if (state->classes[kind] == NULL) {
            return -1;
        }
    }
    state->too_large_class = (PyObject *)import_class("sse_proto._errors", "EventTooLarge");
    if (state->too_large_class == NULL) {
        return -1;
    }
    state->by_event_class = import_class("sse_proto._parsing", "by_event");
    if (state->by_event_class == NULL) {
        return -1;
    }
    state->skip_class = (PyObject *)import_class("sse_proto._parsing", "SkipEvent");
    if (state->skip_class == NULL) {
        return -1;
    }
    state->attach_event = import_name("sse_proto._parsing", "attach_event");
    if (state->attach_event == NULL) {
        return -1;
    }
    state->message = PyUnicode_InternFromString("message");
    state->parsers = PyUnicode_InternFromString("parsers");
    state->fallback = PyUnicode_InternFromString("default");
    if (state->message == NULL || state->parsers == NULL || state->fallback == NULL) {
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
    .m_doc = "The decoder in C: the same as sse_proto._feed, and faster.",
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
