// Package client calls the Backend API over HTTP. Its calls are generated from the OpenAPI document; this file adds credentials and lets someone watch.
package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Exchange is one call with its answer, as bytes.
type Exchange struct {
	Method, Path string
	Request      []byte
	Status       int
	Response     []byte
	Took         time.Duration
}

// Project says where to call, and as whom.
type Project struct {
	URL    string // of the server, without /v2
	ID     string
	Secret string
}

// Connect returns a client that calls as a project. Each exchange is shown to watch, which may be nil, before the call returns.
func Connect(project Project, timeout time.Duration, watch func(Exchange)) (*ClientWithResponses, error) {
	authenticate := func(_ context.Context, req *http.Request) error {
		req.SetBasicAuth(project.ID, project.Secret)
		return nil
	}
	// The default would close all but two of many connections after each call.
	var transport http.RoundTripper = &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	if watch != nil {
		transport = watched{transport, watch}
	}
	made, err := NewClientWithResponses(project.URL+"/v2", WithHTTPClient(&http.Client{Timeout: timeout, Transport: transport}), WithRequestEditorFn(authenticate))
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", project.URL, err)
	}
	return made, nil
}

type watched struct {
	http.RoundTripper
	watch func(Exchange)
}

// RoundTrip implements http.RoundTripper.
func (w watched) RoundTrip(req *http.Request) (*http.Response, error) {
	seen := Exchange{Method: req.Method, Path: req.URL.RequestURI()}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		seen.Request = body
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	began := time.Now()
	rsp, err := w.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	seen.Response, err = io.ReadAll(rsp.Body)
	_ = rsp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	seen.Took, seen.Status = time.Since(began), rsp.StatusCode
	rsp.Body = io.NopCloser(bytes.NewReader(seen.Response))
	w.watch(seen)
	return rsp, nil
}

// CloseIdleConnections implements what http.Client asks of a transport.
func (w watched) CloseIdleConnections() {
	if inner, ok := w.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		inner.CloseIdleConnections()
	}
}
