// Package format checks texts and numbers of the contract by the formats that it names, beside those that every JSON Schema may name. It is
// pure.
package format

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/core/address"
)

// Register has a compiler know the formats.
func Register(c *jsonschema.Compiler) {
	c.RegisterFormat(&jsonschema.Format{Name: "int32", Validate: integer(32)})
	c.RegisterFormat(&jsonschema.Format{Name: "int64", Validate: integer(64)})
	c.RegisterFormat(&jsonschema.Format{Name: Address, Validate: clientAddress})
	c.RegisterFormat(&jsonschema.Format{Name: Bytes, Validate: base64Text})
}

// Address is the address of a client in the forms in which proxies and backends write one.
const Address = "client-address"

// clientAddress is the check of that format.
func clientAddress(v any) error {
	text, ok := v.(string)
	if !ok || text == "" {
		return nil // a wrong type is reported as such, and a blank
	}
	if _, ok := address.Client(text); !ok {
		return errors.New("must be an IP address, with or without a port")
	}
	return nil
}

// Bytes is base64 (RFC 4648 section 4), with its padding and nothing else: what Go reads into bytes.
const Bytes = "byte"

// base64Text is the check of that format.
func base64Text(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil // a wrong type is reported as such
	}
	if strings.ContainsAny(text, "\r\n") {
		return errors.New("must have no line breaks")
	}
	_, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
	return err
}

// integer returns the check of the formats int32 and int64: a JSON integer written without fraction or exponent that fits.
func integer(bits int) func(any) error {
	return func(v any) error {
		number, ok := v.(json.Number)
		if !ok {
			return nil // a wrong type is reported as such
		}
		if _, err := strconv.ParseInt(string(number), 10, bits); err != nil {
			return fmt.Errorf("must be an integer between %d and %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
		}
		return nil
	}
}
