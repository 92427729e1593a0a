// Command web is a tiny worker. It answers / with the words of its variable WORDS, /fetch?url=… with what an HTTP
// server answers it, and /dial?address=… with whether a TCP server takes its connection: a pod's way to see what it
// can reach.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	fetchLimit  = 2 * time.Second
	answerLimit = 1 << 20
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func serve() error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, os.Getenv("WORDS"))
	})
	mux.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		if err := fetch(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		dialer := net.Dialer{Timeout: fetchLimit}
		connection, err := dialer.DialContext(r.Context(), "tcp", r.URL.Query().Get("address"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_ = connection.Close()
	})
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: fetchLimit}
	return server.ListenAndServe()
}

func fetch(w io.Writer, r *http.Request) error {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.Query().Get("url"), nil)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: fetchLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(w, io.LimitReader(response.Body, answerLimit))
	return err
}
