package contract

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// What a number may be written with. A schema reads numbers exactly, as fractions of whole numbers, so that 1e1000000, of nine bytes, would
// take a tenth of a second, and 400,000 digits two. No value of the contract, and no double that means something, needs more than this.
const (
	maxNumberBytes = 40
	maxExponent    = 99
)

// checkNumbers refuses a body, which is JSON, for the first number that is too long or has too large an exponent.
func checkNumbers(body []byte) error {
	if plainNumbers(body) {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		if dec.PeekKind() != '0' {
			if _, err := dec.ReadToken(); err != nil {
				return &NotJSON{Reason: "a number is too long"} // the end: it was in what the tokenizer sees otherwise
			}
			continue
		}
		number, err := dec.ReadValue()
		if err != nil {
			return &NotJSON{Reason: "a number is too long"}
		}
		if plainNumber(number) {
			continue
		}
		reason := fmt.Sprintf("a number must have at most %d characters and an exponent of at most %d", maxNumberBytes, maxExponent)
		return &NotJSON{Reason: reason, Field: clip(fieldAt(dec.StackPointer()))}
	}
}

func fieldAt(pointer jsontext.Pointer) string {
	var tokens []string
	for token := range pointer.Tokens() {
		tokens = append(tokens, token)
	}
	return strings.Join(tokens, ".")
}

// plainNumbers reports whether every number in value, which is JSON, may be read.
func plainNumbers(value []byte) bool {
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			i = endOfString(value, i)
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(value) && ofNumber(value[end]) {
				end++
			}
			if !plainNumber(value[i:end]) {
				return false
			}
			i = end - 1
		}
	}
	return true
}

// endOfString returns where the quotation mark is that ends the string which begins at start.
func endOfString(value []byte, start int) int {
	for i := start + 1; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(value)
}

func ofNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

func plainNumber(number []byte) bool {
	if len(number) > maxNumberBytes {
		return false
	}
	at := bytes.IndexAny(number, "eE")
	if at < 0 {
		return true
	}
	exponent, err := strconv.Atoi(string(number[at+1:]))
	return err == nil && exponent >= -maxExponent && exponent <= maxExponent
}
