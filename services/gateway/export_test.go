package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/valyala/fasthttp"
)

// Handler is what the server calls for each request.
func (g *Gateway) Handler() fasthttp.RequestHandler { return g.app.Server().Handler }

// Healthy reports what the gRPC port says about health. While the port closes nobody can connect to ask.
func (g *Gateway) Healthy() bool {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/grpc.health.v1.Health/Check", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	g.grpc.Handler.ServeHTTP(w, r)
	return w.Code == http.StatusOK && !strings.Contains(w.Body.String(), "NOT_SERVING")
}

// StrictTransport is what browsers are told of https at a host.
func StrictTransport(c Config, host string) string {
	if told := c.strictTransport(); told != nil {
		return told(host)
	}
	return ""
}
