/* The decoder in C: the binding of sse_core.h to CPython, with no rule of the standard in it.
 *
 * The machine says what is in the stream, as pointers and lengths. Here these become objects, and
 * what it refuses becomes exceptions: the same as those of `_decoder.py`, for the same chunks.
 *
 * Locks. The GIL is never released: a chunk is microseconds of work, less than taking it again may
 * cost. Without a GIL, each method holds the critical section of its decoder. Neither keeps out
 * Python code that runs inside a call, of which there is one kind: finalizers, called when an
 * allocation sets off a garbage collection, or when the first `last_event_id` (any object) goes.
 * `running` keeps those from changing a decoder in the middle of a chunk.
 *
 * Memory. Where an object cannot be made in the middle of a chunk, the rest of the chunk is lost, and
 * with it the thread of the stream: the decoder refuses each further call, with MemoryError again.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Where tracemalloc sees it, and where failures can be injected. */
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

/* Bytes. As in _decoder.py: a test compares the signatures, so that they cannot drift apart. */
#define DEFAULT_MAX_EVENT_SIZE 16777216

/* Bytes that decode_ascii() takes in one step. */
#define STEP 32

typedef struct {
    PyTypeObject *event_class;   /* ServerSentEvent */
    PyTypeObject *raw_class;     /* RawEvent */
    PyObject *too_large_class;   /* EventTooLarge */
    PyObject *message;           /* "message", interned */
} ModuleState;

typedef struct {
    PyObject_HEAD

    /* What feed() needs of the module, which may be torn down before this object. */
    ModuleState module;

    PyObject *max_event_size; /* as the caller gave it; `machine.limit` is its value */
    SSEMachine machine;

    /* What outlives its event. Never NULL. */
    PyObject *last_event_id;
    PyObject *reconnection_time;
    /* The latest event type: streams repeat it, and so can the object. Never NULL. */
    PyObject *last_type;

    /* True while a call may change the machine. */
    bool running;
    /* True from a refusal that no call has raised yet, since there were events to return first. */
    bool deferred;
} Decoder;

/* The chunk, and what becomes of it in one call. */
typedef struct {
    bool raw;
    PyObject *events;
    const char *bytes;
    Py_ssize_t length;
    PyObject *owner; /* the caller's object, if it is immutable; else NULL */
    PyObject *view;  /* a memoryview of `owner`, once an event needed it; else NULL */
} Chunk;

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

/* Take over a new last event ID. The old one may run Python code as it goes; it finds the new one in
 * place. */
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

/* The data as a view: of the caller's chunk where that is possible, else of a copy. */
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

/* Append an event to those of the chunk. */
static int
append_event(Decoder *self, const SSEEvent *found, Chunk *chunk)
{
    if (found->id.bytes != NULL && set_last_event_id(self, found->id) < 0) {
        return -1;
    }
    PyObject *data = chunk->raw ? view_of_data(found->data, chunk)
                                : decode(found->data.bytes, (Py_ssize_t)found->data.length);
    if (data == NULL) {
        return -1;
    }
    PyObject *type = type_object(self, found->type);
    if (type == NULL) {
        Py_DECREF(data);
        return -1;
    }
    PyTypeObject *class = chunk->raw ? self->module.raw_class : self->module.event_class;
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
    /* An event of str, int, None and a view of bytes can be in no cycle: the garbage collector need
     * not know it. What the caller gave as `last_event_id` might be anything. */
    if (self->last_event_id != Py_None && !PyUnicode_CheckExact(self->last_event_id)) {
        PyObject_GC_Track(event);
    }
    int result = PyList_Append(chunk->events, (PyObject *)event);
    Py_DECREF(event);
    return result;
}

/* Take in what the machine has found. Returns -1 with an exception, else 0. */
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
                sse_refuse(m, SSE_NO_MEMORY, m->size);
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

static PyObject *
feed_any(Decoder *self, PyObject *object, bool raw)
{
    if (self->machine.refused != SSE_GO_ON) {
        raise_refusal(self, self->machine.refused);
        return NULL;
    }
    Py_buffer view = {.obj = NULL};
    Chunk chunk = {.raw = raw};
    if (PyBytes_CheckExact(object)) {
        chunk.bytes = PyBytes_AS_STRING(object);
        chunk.length = PyBytes_GET_SIZE(object);
        chunk.owner = object;
    }
    else {
        if (get_buffer(object, &view) < 0) {
            return NULL;
        }
        chunk.bytes = view.buf;
        chunk.length = view.len;
    }

    int result = -1;
    chunk.events = PyList_New(0);
    if (chunk.events != NULL && start_running(self) == 0) {
        result = decode_chunk(self, &chunk);
        self->running = false;
    }
    Py_XDECREF(chunk.view);
    if (view.obj != NULL) {
        PyBuffer_Release(&view);
    }
    if (result == 0 && self->machine.refused != SSE_GO_ON) {
        self->deferred = true;
        if (PyList_GET_SIZE(chunk.events) == 0) {
            raise_refusal(self, self->machine.refused);
            result = -1;
        }
    }
    if (result < 0) {
        Py_CLEAR(chunk.events);
    }
    return chunk.events;
}

static PyObject *
decoder_feed(PyObject *self, PyObject *chunk)
{
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_any((Decoder *)self, chunk, false);
    Py_END_CRITICAL_SECTION();
    return events;
}

static PyObject *
decoder_feed_raw(PyObject *self, PyObject *chunk)
{
    PyObject *events;
    Py_BEGIN_CRITICAL_SECTION(self);
    events = feed_any((Decoder *)self, chunk, true);
    Py_END_CRITICAL_SECTION();
    return events;
}

static int
close_locked(Decoder *self)
{
    if (start_running(self) < 0) {
        return -1;
    }
    SSEResult refusal = self->machine.refused;
    sse_close(&self->machine);
    self->running = false;
    if (self->deferred) {
        raise_refusal(self, refusal);
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
    {"feed", decoder_feed, METH_O, FEED_DOC},
    {"feed_raw", decoder_feed_raw, METH_O, FEED_RAW_DOC},
    {"close", decoder_close, METH_NOARGS, CLOSE_DOC},
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
get_unfinished(PyObject *self, void *Py_UNUSED(closure))
{
    size_t size;
    Py_BEGIN_CRITICAL_SECTION(self);
    size = sse_unfinished(&((Decoder *)self)->machine);
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSize_t(size);
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
    {"max_event_size", get_max_event_size, NULL, MAX_EVENT_SIZE_DOC, NULL},
    {"dispatch_empty", get_dispatch_empty, NULL, DISPATCH_EMPTY_DOC, NULL},
    {"last_event_id", get_last_event_id, NULL, LAST_EVENT_ID_DOC, NULL},
    {"unfinished", get_unfinished, NULL, UNFINISHED_DOC, NULL},
    {"reconnection_time", get_reconnection_time, NULL, RECONNECTION_TIME_DOC, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Set the limit of the machine from `max_event_size`. */
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
    sse_init(&self->machine);
    self->machine.dispatch_empty = dispatch_empty != 0;
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
    sse_close(&self->machine);
    Py_XDECREF(self->max_event_size);
    Py_XDECREF(self->last_event_id);
    Py_XDECREF(self->reconnection_time);
    Py_XDECREF(self->last_type);
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
