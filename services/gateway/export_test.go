package gateway

import "github.com/valyala/fasthttp"

// Handler is what the server calls for each request.
func (g *Gateway) Handler() fasthttp.RequestHandler { return g.app.Server().Handler }
