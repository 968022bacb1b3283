// Package client makes the calls of the Backend API that the demo tells of, over HTTP, and lets someone watch.
// It knows no more of the API than the types of package rest and the paths in calls.go.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/keyward/keyward/api/rest"
)

// Exchange is one call with its answer, as bytes.
type Exchange struct {
	Method, Path string
	Request      []byte
	Status       int
	Response     []byte
	Risk         string // the header X-Keyward-Risk of the answer
	Took         time.Duration
}

// Project says where to call, and as whom.
type Project struct {
	URL    string // of the server, without /v2
	ID     string
	Secret string
}

// Fault is an answer other than success.
type Fault struct {
	Status int
	Answer rest.ErrorDetails
}

// Error implements error.
func (f *Fault) Error() string {
	text := fmt.Sprintf("the server answered %d %s", f.Status, f.Answer.Type)
	if f.Answer.Details != nil {
		text += ": " + *f.Answer.Details
	}
	if f.Answer.Validation != nil {
		for _, v := range *f.Answer.Validation {
			text += fmt.Sprintf(": %s: %s", v.Field, v.Message)
		}
	}
	return text
}

// ErrUnanswered is what a call returns that no server answered.
var ErrUnanswered = errors.New("call the server")

// Client calls as a project. It may be used by several goroutines at once.
type Client struct {
	project Project
	http    *http.Client
	watch   func(Exchange)
}

// Connect returns a client that calls as a project. Each exchange is shown to watch, which may be nil, before the call returns.
// Nothing is sent yet.
func Connect(project Project, timeout time.Duration, watch func(Exchange)) *Client {
	if watch == nil {
		watch = func(Exchange) {}
	}
	// The default would close all but two of many connections after each call.
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	return &Client{project: project, http: &http.Client{Timeout: timeout, Transport: transport}, watch: watch}
}

// post sends a body and returns the answer.
func post[Out any](ctx context.Context, c *Client, path string, body any) (Out, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		var none Out
		return none, fmt.Errorf("encode the request: %w", err)
	}
	return call[Out](ctx, c, http.MethodPost, path, sent)
}

// call returns the answer of a success, a *Fault for any other, or why there was none.
func call[Out any](ctx context.Context, c *Client, method, path string, sent []byte) (out Out, _ error) {
	seen, err := c.exchange(ctx, method, path, sent)
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	c.watch(seen)
	if seen.Status == http.StatusOK {
		if err := json.Unmarshal(seen.Response, &out); err != nil {
			return out, fmt.Errorf("read the answer: %w", err)
		}
		return out, nil
	}
	return out, ReadFault(seen.Status, seen.Response)
}

// ReadFault returns the *Fault that an answer other than success holds, or that it holds none.
func ReadFault(status int, body []byte) error {
	var failure rest.ErrorRsp
	if err := json.Unmarshal(body, &failure); err != nil || failure.Error.Type == "" {
		return fmt.Errorf("the server answered %d without a body that could be read", status)
	}
	return &Fault{Status: status, Answer: failure.Error}
}

func (c *Client) exchange(ctx context.Context, method, path string, sent []byte) (Exchange, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.project.URL+"/v2"+path, bytes.NewReader(sent))
	if err != nil {
		return Exchange{}, err
	}
	req.SetBasicAuth(c.project.ID, c.project.Secret)
	if len(sent) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	rsp, err := c.http.Do(req)
	if err != nil {
		return Exchange{}, err
	}
	defer func() { _ = rsp.Body.Close() }()
	answer, err := io.ReadAll(rsp.Body)
	if err != nil {
		return Exchange{}, err
	}
	return Exchange{
		Method: method, Path: req.URL.RequestURI(), Request: sent,
		Status: rsp.StatusCode, Response: answer, Risk: rsp.Header.Get("X-Keyward-Risk"), Took: time.Since(began),
	}, nil
}
