package operation

import (
	"net/http"
	"time"
)

// sessionCookie is of a session of the console. Its prefix has browsers take it of this host alone, over TLS or on the machine itself, and
// send it back to no other.
const sessionCookie = "__Host-keyward-operator"

// SessionIn returns what resumes the session of an operator, from the header of a request; empty = there is none.
func SessionIn(header string) string {
	cookies, err := http.ParseCookie(header)
	if err != nil {
		return ""
	}
	for _, c := range cookies {
		if c.Name == sessionCookie {
			return c.Value
		}
	}
	return ""
}

// SessionCookie is the cookie that resumes a session until a moment. Without a text it removes what there is.
func SessionCookie(text string, left time.Duration) string {
	c := &http.Cookie{
		Name: sessionCookie, Value: text, Path: "/", MaxAge: int((left + time.Second - 1) / time.Second), Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
	}
	if text == "" {
		c.MaxAge = -1
	}
	return c.String()
}
