package main

import (
	"encoding/json"
	"fmt"

	"github.com/gofiber/fiber/v2"
)

const bareCommand = "bare"

// serveBare is the floor: a Fiber handler that decodes the body into a map, as any handler must, and answers with two fields.
func serveBare(address string) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/v2/passkey/login/start", func(c *fiber.Ctx) error {
		var body map[string]any
		if err := json.Unmarshal(c.Body(), &body); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		return c.JSON(fiber.Map{"loginAllow": true, "userID": body["userID"]})
	})
	return app.Listen(address)
}
