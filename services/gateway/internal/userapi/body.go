package userapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"connectrpc.com/connect"
)

// body is that of a request. It remembers how much of it was read, and why no more could be.
type body struct {
	io.ReadCloser
	size   int64
	failed error
}

// Read implements io.Reader.
func (b *body) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed = err
	}
	return n, err
}

// unread returns what a caller is told whose body could not be read for another reason than what is in it; nil if there is none.
func (b *body) unread(ctx context.Context) *connect.Error {
	switch {
	case b.failed == nil:
		return nil
	case errors.Is(b.failed, os.ErrDeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, said{textTimeout, b.failed})
	case ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, said{textCancelled, b.failed})
	}
	return nil
}

const (
	frameHead       = 5 // bytes: flags and length
	flagsKnown      = 1 // compressed
	flagTrailers    = 0x80
	contentGRPC     = "application/grpc"
	contentGRPCWeb  = "application/grpc-web"
	textCutOff      = "the message ends before its frame says so"
	textFlags       = "the flags of the frame are not known"
	textOneMessage  = "a call takes one message"
	textCompression = "the message is compressed, and the request does not say how"
)

// checkFrame refuses what is no single message of gRPC or gRPC-web. The handlers would call that an internal error, and it is the caller's.
// What it has read, the handler reads again; what is too large for a message, it leaves to the handler to refuse.
func (a *API) checkFrame(r *http.Request, b *body) *connect.Error {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind, _, _ = strings.Cut(strings.TrimSpace(kind), "+")
	if kind != contentGRPC && kind != contentGRPCWeb {
		return nil
	}
	var message bytes.Buffer
	flags, size, err := copyHead(&message, b)
	encoding := r.Header.Get("Grpc-Encoding")
	switch {
	case errors.Is(err, io.EOF):
		r.Body = http.NoBody // no message at all, which the handler refuses
		return nil
	case err != nil:
		return b.cutOff(r.Context(), err)
	case flags&^flagsKnown != 0:
		return connect.NewError(connect.CodeInvalidArgument, errors.New(textFlags))
	case flags != 0 && (encoding == "" || encoding == "identity"):
		return connect.NewError(connect.CodeInvalidArgument, errors.New(textCompression))
	case size > int64(a.deps.MaxBytes):
		r.Body = io.NopCloser(io.MultiReader(&message, b))
		return nil
	}
	if _, err = io.CopyN(&message, b, size); err != nil {
		return b.cutOff(r.Context(), err)
	}
	r.Body = io.NopCloser(&message)
	return b.checkEnd(r.Context(), kind == contentGRPCWeb)
}

// checkEnd refuses what follows a message, but for trailers of gRPC-web, which mean nothing here.
func (b *body) checkEnd(ctx context.Context, trailers bool) *connect.Error {
	flags, size, err := copyHead(io.Discard, b)
	if err == nil && trailers && flags == flagTrailers {
		if _, err = io.CopyN(io.Discard, b, size); err != nil {
			return b.cutOff(ctx, err)
		}
		_, _, err = copyHead(io.Discard, b)
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case b.failed != nil:
		return b.cutOff(ctx, err)
	}
	return connect.NewError(connect.CodeUnimplemented, errors.New(textOneMessage))
}

// copyHead reads the head of a frame, and returns its flags and the length of what follows. io.EOF: there is no frame.
func copyHead(into io.Writer, from io.Reader) (flags byte, size int64, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, 0, err
	}
	if _, err := into.Write(head[:]); err != nil {
		return 0, 0, err
	}
	return head[0], int64(binary.BigEndian.Uint32(head[1:])), nil
}

// cutOff is what a caller is told whose message is not whole.
func (b *body) cutOff(ctx context.Context, err error) *connect.Error {
	if refused := b.unread(ctx); refused != nil {
		return refused
	}
	return connect.NewError(connect.CodeInvalidArgument, said{textCutOff, err})
}
