//go:build !linux

package app

import "net"

// listenConfig leaves stalled downloads to the system's keep-alive.
func listenConfig() *net.ListenConfig { return &net.ListenConfig{} }
