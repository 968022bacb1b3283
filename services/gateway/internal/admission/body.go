package admission

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/core/fault"
)

// errNotInTime is a body that did not arrive while its connection waited for it.
var errNotInTime = &fault.Fault{
	Type: fault.TypeUnavailable, Status: http.StatusRequestTimeout, Details: "the request did not arrive in time", RetryAfter: time.Second,
}

// readBody reads the body of a request that is admitted, and leaves it where handlers look for it. Up to here no more of it is in memory
// than came with the header: who is refused, or sends more than limit, has cost nothing but what was on the way.
func (d *Door) readBody(c *fiber.Ctx, limit int) ([]byte, error) {
	sent := c.Request()
	if sent.Header.ContentLength() > limit {
		return nil, TooLarge(limit)
	}
	if err := WantBody(c.Context()); err != nil {
		return nil, err
	}
	stream := sent.BodyStream()
	if stream == nil {
		return withoutMark(sent, sent.Body()), nil
	}
	length := sent.Header.ContentLength()
	var body []byte
	err := d.reading(func() (err error) {
		body, err = readAtMost(stream, length, limit)
		return err
	})
	if err != nil {
		c.Response().Header.SetConnectionClose() // where the next request begins is not known
		return nil, unread(err, limit)
	}
	sent.SetBodyRaw(body)
	return withoutMark(sent, body), nil
}

// withoutMark leaves out a byte order mark, which nobody may put before JSON and readers may ignore (RFC 8259 section 8.1).
func withoutMark(sent *fasthttp.Request, body []byte) []byte {
	marked := len(body)
	if body = bytes.TrimPrefix(body, []byte("\ufeff")); len(body) < marked {
		sent.SetBodyRaw(body)
	}
	return body
}

// errTooLong is a body of unknown length that turned out to be longer than its limit.
var errTooLong = errors.New("the body is too long")

// readAtOnce is the length up to which memory for a body is taken before it has arrived.
const readAtOnce = 8 << 10

// readAtMost reads to the end of stream, which holds length bytes, or any number of them if it is negative.
func readAtMost(stream io.Reader, length, limit int) ([]byte, error) {
	if length >= 0 && length <= readAtOnce {
		body := make([]byte, length)
		_, err := io.ReadFull(stream, body)
		return body, err
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(stream, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = errTooLong
	}
	return body.Bytes(), err
}

// unread says why a body could not be read.
func unread(err error, limit int) error {
	var own *fault.Fault
	switch {
	case errors.As(err, &own):
		return err
	case errors.Is(err, errTooLong):
		return TooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errNotInTime
	}
	f := &fault.Fault{Type: fault.TypeValidationError, Status: http.StatusBadRequest, Details: "the body of the request cannot be read"}
	return f.Because(err)
}
