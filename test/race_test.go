//go:build race

package test

// detecting says that what runs in this process is watched for data races. What the tests start as a binary, a browser or a suite in
// JavaScript is not.
const detecting = true
