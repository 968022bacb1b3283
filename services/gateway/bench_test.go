package gateway_test

import (
	encodingjson "encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/services/gateway"
)

// BenchmarkLoginStart measures what the gateway adds to POST /v2/passkey/login/start: the same body over loopback to the gateway, with a
// service behind it that answers at once, and to a bare Fiber handler that parses the body and answers.
func BenchmarkLoginStart(b *testing.B) {
	b.Run("gateway", func(b *testing.B) {
		s := serve(b, setup{})
		s.services.Forgetful = true
		s.log.forgetful = true
		load(b, s.gateway.Addr())
	})
	b.Run("bare handler", func(b *testing.B) {
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Post("/v2/passkey/login/start", func(c *fiber.Ctx) error {
			var body rest.PasskeyLoginStartReq
			if err := json.Unmarshal(c.Body(), &body); err != nil {
				return err
			}
			return c.JSON(rest.PasskeyLoginStartRsp{AssertionOptions: body.UserID})
		})
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- app.Listener(listener) }()
		b.Cleanup(func() {
			_ = app.ShutdownWithTimeout(time.Second)
			<-served
		})
		load(b, listener.Addr().String())
	})
}

// BenchmarkLoginStartAlone is the same without network and client: what a request costs between the bytes that were read and those that
// are to be written.
func BenchmarkLoginStartAlone(b *testing.B) {
	made := func(log *slog.Logger) func(*testing.B) {
		return func(b *testing.B) {
			services := newServices()
			services.Forgetful = true
			registry := prometheus.NewRegistry()
			limits, err := ratelimit.New(ratelimit.DefaultConfig(), ratelimit.Deps{Clock: time.Now, Metrics: registry})
			if err != nil {
				b.Fatal(err)
			}
			// More than can be asked, so that every call is counted and none refused.
			cfg, many := gateway.DefaultConfig(), ratelimit.Limit{Requests: 1_000_000_000, Per: 10 * time.Second}
			cfg.RateAddress, cfg.RateProject, cfg.RateFailures = many, many, many
			g, err := gateway.New(cfg, gateway.Deps{
				Ceremony: servicetest.Ceremony{
					Recording: services,
				},
				Events:       servicetest.Events{Recording: services},
				Webhooks:     servicetest.Webhooks{Recording: services},
				Explanations: servicetest.Explanations{Recording: services},
				Projects:     newTenants(),
				Issuers:      newTenants(),
				Log:          log,
				Metrics:      registry,
				Idempotency:  idempotency.NewStore(&bucket{}, time.Minute, time.Now),
				Limits:       limits,
			})
			if err != nil {
				b.Fatal(err)
			}
			handle(b, g.Handler())
		}
	}
	bare := func(decode func(*fiber.Ctx) error) func(*testing.B) {
		return func(b *testing.B) {
			app := fiber.New(fiber.Config{DisableStartupMessage: true})
			app.Post("/v2/passkey/login/start", func(c *fiber.Ctx) error {
				if err := decode(c); err != nil {
					return err
				}
				return c.JSON(fiber.Map{"loginAllow": true})
			})
			handle(b, app.Handler())
		}
	}
	b.Run("gateway", made(telemetry.NewLogger(io.Discard, slog.LevelWarn)))
	b.Run("gateway, a log line each", made(telemetry.NewLogger(io.Discard, slog.LevelInfo)))
	b.Run("bare, into a map", bare(func(c *fiber.Ctx) error {
		var body map[string]any
		return encodingjson.Unmarshal(c.Body(), &body)
	}))
	b.Run("bare, into the type", bare(func(c *fiber.Ctx) error {
		var body rest.PasskeyLoginStartReq
		return json.Unmarshal(c.Body(), &body)
	}))
}

func handle(b *testing.B, handler fasthttp.RequestHandler) {
	var rc fasthttp.RequestCtx
	rc.Init(&fasthttp.Request{}, nil, nil)
	authorization := basic("pro-1", secretA)["Authorization"]
	b.ReportAllocs()
	for b.Loop() {
		rc.Request.Reset()
		rc.Response.Reset()
		rc.Request.SetRequestURI("/v2/passkey/login/start")
		rc.Request.Header.SetMethod("POST")
		rc.Request.Header.SetContentType("application/json")
		rc.Request.Header.Set("Authorization", authorization)
		rc.Request.SetBodyString(wholeLoginStart)
		handler(&rc)
		if rc.Response.StatusCode() != 200 {
			b.Fatalf("got %d %s", rc.Response.StatusCode(), rc.Response.Body())
		}
	}
}

func load(b *testing.B, addr string) {
	client := &fasthttp.HostClient{Addr: addr, MaxConns: 64}
	authorization := basic("pro-1", secretA)["Authorization"]
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		req, rsp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(rsp)
		for pb.Next() {
			req.Reset()
			req.SetRequestURI(fmt.Sprintf("http://%s/v2/passkey/login/start", addr))
			req.Header.SetMethod("POST")
			req.Header.SetContentType("application/json")
			req.Header.Set("Authorization", authorization)
			req.SetBodyString(wholeLoginStart)
			if err := client.Do(req, rsp); err != nil || rsp.StatusCode() != 200 {
				b.Errorf("got %d %v", rsp.StatusCode(), err)
				return
			}
		}
	})
	b.StopTimer()
	client.CloseIdleConnections()
}

// wholeLoginStart is a login start as a browser's SDK sends it, every part filled in.
const wholeLoginStart = `{"userID":"usr-4693224802260150919","processID":"abcdefghijabcdefghij",` +
	`"crossDeviceAuthenticationStrategy":"standard","clientInformation":{"remoteAddress":"203.0.113.7",` +
	`"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 ` +
	`Safari/537.36","clientEnvHandle":"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",` +
	`"clientEnvHandleMeta":{"ts":1732280000000,"source":"ls"},"javascriptFingerprint":"0123456789abcdef",` +
	`"javaScriptHighEntropy":{"platform":"macOS","platformVersion":"15.1.0","mobile":false},` +
	`"bluetoothAvailable":true,"passwordManagerAvailable":true,"userVerifyingPlatformAuthenticatorAvailable":true,` +
	`"conditionalMediationAvailable":true,"clientCapabilities":{"conditionalCreate":true,` +
	`"conditionalMediation":true,"hybridTransport":true,"passkeyPlatformAuthenticator":true,"userVerifyingPlatformAuthenticator":true},` +
	`"privateMode":false,` +
	`"parsedDeviceInfo":{"browserName":"Chrome","browserVersion":"131.0.0.0","osName":"macOS","osVersion":"15.1.0"}}}`
