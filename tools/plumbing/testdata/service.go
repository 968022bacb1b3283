// Package service has what plumbing must know how to read.
package service

import (
	"context"

	"github.com/keyward/keyward/core/ident"
)

// Empty is a type of the package.
type Empty struct{}

// For is one with a parameter.
type For[T any] struct{ Body T }

// Keys is a part of the library.
type Keys interface {
	Turn(context.Context, For[ident.UserID]) (*Empty, error)
}

// Library bears the name of its service.
//
//keyward:service library
type Library interface {
	Keys
	// ListBooks reads.
	//
	//keyward:repeatable
	ListBooks(context.Context, Empty) ([]string, error)
}

// Archive is of the same service, and before it in the alphabet.
//
//keyward:service library
type Archive interface {
	// Find may be called twice with one seed.
	//
	//keyward:seeded
	Find(context.Context, ident.UserID) (Empty, error)
}

// Reader is of none.
type Reader interface {
	Read(p []byte) (int, error)
}
