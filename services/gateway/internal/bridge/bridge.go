// Package bridge carries a call that came to Fiber to a handler of net/http, and its answer back. It promises that nothing of the request
// but its body lies in memory that fasthttp uses again, and that an answer is sent whole or not at all. It touches only what it is given.
package bridge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// Request returns a request as net/http has it. It copies all but the body, for fasthttp uses its memory again. Its body must not be read
// once the handler has returned.
func Request(rc *fasthttp.RequestCtx) (*http.Request, error) {
	target := string(rc.RequestURI())
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("read the request target: %w", err)
	}
	var body io.Reader = http.NoBody
	if stream := rc.RequestBodyStream(); stream != nil {
		body = stream
	}
	return &http.Request{
		Method: string(rc.Method()), URL: parsed, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: Header(&rc.Request.Header), Host: string(rc.Host()),
		RemoteAddr: rc.RemoteAddr().String(), TLS: rc.TLSConnectionState(),
		Body: io.NopCloser(body), ContentLength: int64(max(rc.Request.Header.ContentLength(), -1)),
	}, nil
}

// Header returns the header of a request as net/http has it.
func Header(sent *fasthttp.RequestHeader) http.Header {
	header := http.Header{}
	for name, value := range sent.All() {
		if key := http.CanonicalHeaderKey(string(name)); key != "Transfer-Encoding" && key != "Host" {
			header.Add(key, string(value))
		}
	}
	return header
}

// Writer holds an answer until it is whole. Make it with NewWriter.
type Writer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// NewWriter returns one for an answer that has not begun.
func NewWriter() *Writer { return &Writer{header: http.Header{}} }

// Header implements http.ResponseWriter.
func (w *Writer) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.body.Write(p)
}

// WriteHeader implements http.ResponseWriter.
func (w *Writer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Flush implements http.Flusher. There is nobody to flush to before the answer is whole.
func (w *Writer) Flush() {}

// discard forgets an answer that has begun, but for its header.
func (w *Writer) discard() {
	w.status = 0
	w.body.Reset()
}

// Send gives the answer to fasthttp, which frames it. Trailers have no place in it: nothing that is answered over the bridge needs them.
func (w *Writer) Send(to *fasthttp.Response) {
	for name, values := range w.header {
		switch {
		case name == "Content-Length", name == "Transfer-Encoding", name == "Trailer", strings.HasPrefix(name, http.TrailerPrefix):
			continue
		}
		to.Header.Del(name)
		for _, value := range values {
			to.Header.Add(name, value)
		}
	}
	if w.header.Get("Content-Type") == "" && w.body.Len() == 0 {
		to.Header.SetNoDefaultContentType(true)
	}
	to.SetStatusCode(max(w.status, http.StatusOK))
	to.SetBody(w.body.Bytes())
}
