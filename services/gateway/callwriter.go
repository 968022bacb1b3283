package gateway

import "net/http"

// callWriter remembers the status of an answer to a call.
type callWriter struct {
	http.ResponseWriter
	status int // 0: no answer has begun
}

// WriteHeader implements http.ResponseWriter.
func (w *callWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *callWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, which streams need.
func (w *callWriter) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a server that cannot flush sends it all at the end
}

// Unwrap lets http.ResponseController reach the server.
func (w *callWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code returns the status that the answer has, or will have.
func (w *callWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// takeBack reports whether another answer may be written: if none has begun, or if it has not been sent yet.
func (w *callWriter) takeBack() bool {
	if held, ok := w.ResponseWriter.(*bridgeWriter); ok {
		held.discard()
		w.status = 0
	}
	return w.status == 0
}
