package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/redis/go-redis/v9"
)

// The commands by which this binary serves what Keyward is compared with.
const (
	bareCommand        = "bare"
	bareRedisCommand   = "bare-redis"
	BareSessionCommand = "bare-session"
)

// MinePath is where the current user starts a passkey.
const MinePath = "/v2/me/passkeys/append/start"

// Serves reports whether a command is one by which this binary serves.
func Serves(command string) bool {
	return command == bareCommand || command == bareRedisCommand || command == BareSessionCommand
}

// Serve serves by such a command until the process ends.
func Serve(ctx context.Context, command string, args []string) error {
	switch command {
	case bareRedisCommand:
		return serveBareRedis(ctx, args[0], args[1])
	case BareSessionCommand:
		return serveBareSession(args[0], args[1])
	}
	return serveBare(args[0], func(context.Context) error { return nil })
}

// serveBare is the floor: a Fiber handler that decodes the body into a map, as any handler must, and answers with two fields.
func serveBare(address string, more func(context.Context) error) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post(Path, func(c *fiber.Ctx) error {
		var body map[string]any
		if err := json.Unmarshal(c.Body(), &body); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		if err := more(c.Context()); err != nil {
			return err
		}
		return c.JSON(fiber.Map{"loginAllow": true, "userID": body["userID"]})
	})
	return app.Listen(address)
}

// serveBareRedis reads a hash of 20 fields, too, each as long as an event.
func serveBareRedis(ctx context.Context, url, address string) error {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return fmt.Errorf("read the URL: %w", err)
	}
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	const (
		key    = "{pro-1/usr-1}:events"
		fields = 20
		length = 220
	)
	for i := range fields {
		if err := client.HSet(ctx, key, "pke-"+strconv.Itoa(i), strings.Repeat("e", length)).Err(); err != nil {
			return fmt.Errorf("write a hash: %w", err)
		}
	}
	return serveBare(address, func(ctx context.Context) error {
		read, err := client.HGetAll(ctx, key).Result()
		if err == nil && len(read) != fields {
			err = fmt.Errorf("%d fields", len(read))
		}
		return err
	})
}

// serveBareSession decodes the body into a map, verifies the token as any service that trusts the keys would, and answers with two fields.
func serveBareSession(file, address string) error {
	keys, err := jwk.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post(MinePath, func(c *fiber.Ctx) error {
		token, err := jwt.ParseString(
			strings.TrimPrefix(c.Get(fiber.HeaderAuthorization), "Bearer "), jwt.WithKeySet(keys), jwt.WithIssuer(Origin),
		)
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		var body map[string]any
		if err := json.Unmarshal(c.Body(), &body); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		subject, _ := token.Subject()
		return c.JSON(fiber.Map{"attestationOptions": "", "userID": subject})
	})
	return app.Listen(address)
}
