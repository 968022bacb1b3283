package bridge

import "net/http"

// Answer is an answer of net/http, on whichever port, that knows its status and whether it can still become another.
type Answer struct {
	http.ResponseWriter
	status int // 0: no answer has begun
}

// NewAnswer returns one that has not begun and is written to w.
func NewAnswer(w http.ResponseWriter) *Answer { return &Answer{ResponseWriter: w} }

// WriteHeader implements http.ResponseWriter.
func (w *Answer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *Answer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, which streams need.
func (w *Answer) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a server that cannot flush sends it all at the end
}

// Unwrap lets http.ResponseController reach the server.
func (w *Answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Code returns the status that the answer has, or will have.
func (w *Answer) Code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// TakeBack reports whether another answer may be written: if none has begun, or if it has not been sent yet.
func (w *Answer) TakeBack() bool {
	if held, ok := w.ResponseWriter.(*Writer); ok {
		held.discard()
		w.status = 0
	}
	return w.status == 0
}
