package gateway_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/api/rest"
)

// BenchmarkLoginStart measures what the gateway adds to POST /v2/passkey/login/start: the same body over loopback to the gateway, with a service behind it that
// answers at once, and to a bare Fiber handler that parses the body and answers.
func BenchmarkLoginStart(b *testing.B) {
	b.Run("gateway", func(b *testing.B) {
		s := serve(b, setup{})
		s.services.forgetful = true
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
const wholeLoginStart = `{"userID":"usr-4693224802260150919","processID":"abcdefghijabcdefghij","crossDeviceAuthenticationStrategy":"standard","clientInformation":{"remoteAddress":"203.0.113.7",` +
	`"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36","clientEnvHandle":"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",` +
	`"clientEnvHandleMeta":{"ts":1732280000000,"source":"ls"},"javascriptFingerprint":"0123456789abcdef","javaScriptHighEntropy":{"platform":"macOS","platformVersion":"15.1.0","mobile":false},` +
	`"bluetoothAvailable":true,"passwordManagerAvailable":true,"userVerifyingPlatformAuthenticatorAvailable":true,"conditionalMediationAvailable":true,"clientCapabilities":{"conditionalCreate":true,` +
	`"conditionalMediation":true,"hybridTransport":true,"passkeyPlatformAuthenticator":true,"userVerifyingPlatformAuthenticator":true},"privateMode":false,` +
	`"parsedDeviceInfo":{"browserName":"Chrome","browserVersion":"131.0.0.0","osName":"macOS","osVersion":"15.1.0"}}}`
