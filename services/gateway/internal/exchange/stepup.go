package exchange

import "github.com/keyward/keyward/core/service"

// HeaderStepUp names the further proof that an answer waits for.
const HeaderStepUp = "X-Keyward-Step-Up"

// stepUpHeader is a structured field (RFC 9651): the step-up, and as its parameter by which methods it can be passed.
func stepUpHeader(u *service.StepUp) string {
	text := append(make([]byte, 0, 64), u.ID...)
	text = append(text, `;methods="`...)
	for i, m := range u.Methods {
		if i > 0 {
			text = append(text, ' ')
		}
		text = append(text, m...)
	}
	return string(append(text, '"'))
}
