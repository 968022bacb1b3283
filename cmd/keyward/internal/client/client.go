// Package client calls the Backend API over HTTP. Its calls are generated from the OpenAPI document; this file adds the credentials.
package client

import (
	"context"
	"net/http"
	"time"
)

// Connect returns a client of the server at base, a URL without /v2, that calls as one project.
func Connect(base, project, secret string, timeout time.Duration) (*ClientWithResponses, error) {
	authenticate := func(_ context.Context, req *http.Request) error {
		req.SetBasicAuth(project, secret)
		return nil
	}
	// The demo keeps many connections busy at once; the default would close all but two of them after each call.
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	return NewClientWithResponses(base+"/v2", WithHTTPClient(&http.Client{Timeout: timeout, Transport: transport}), WithRequestEditorFn(authenticate))
}
