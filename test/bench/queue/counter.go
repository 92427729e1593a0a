package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// counter is a way to a database on which the statements are counted that are sent, BEGIN and COMMIT included.
type counter struct {
	dsn, target string
	listener    net.Listener
	stop        context.CancelFunc
	done        sync.WaitGroup

	mu   sync.Mutex
	sent map[string]int
}

func newCounter(ctx context.Context, dsn string) (*counter, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	c := &counter{target: u.Host, listener: listener, stop: stop, sent: map[string]int{}}
	u.Host = listener.Addr().String()
	c.dsn = u.String()
	c.done.Go(func() { c.serve(ctx) })
	return c, nil
}

func (c *counter) serve(ctx context.Context) {
	var dialer net.Dialer
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := dialer.DialContext(ctx, "tcp", c.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		end := sync.OnceFunc(func() { _, _ = client.Close(), server.Close() })
		ended := context.AfterFunc(ctx, end)
		c.done.Go(func() {
			defer ended()
			defer end()
			_ = c.follow(server, bufio.NewReader(client))
		})
		c.done.Go(func() {
			defer end()
			_, _ = io.Copy(client, server)
		})
	}
}

// follow passes on what a client sends, and counts. The first message has no type.
func (c *counter) follow(server io.Writer, client *bufio.Reader) error {
	prepared := map[string]string{}
	for head := 4; ; head = 5 {
		message := make([]byte, head)
		if _, err := io.ReadFull(client, message); err != nil {
			return err
		}
		length := int(binary.BigEndian.Uint32(message[head-4:])) - 4
		message = append(message, make([]byte, max(0, length))...)
		content := message[head:]
		if _, err := io.ReadFull(client, content); err != nil {
			return err
		}
		if head == 5 {
			c.see(message[0], content, prepared)
		}
		if _, err := server.Write(message); err != nil {
			return err
		}
	}
}

// see counts what is executed: a text, or what was prepared under a name.
func (c *counter) see(kind byte, content []byte, prepared map[string]string) {
	first, rest, _ := bytes.Cut(content, []byte{0})
	second, _, _ := bytes.Cut(rest, []byte{0})
	text := string(first)
	switch kind {
	case 'P':
		prepared[text] = string(second)
		return
	case 'B':
		text = prepared[string(second)]
	case 'Q':
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[text]++
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.sent)
}

// counted is a statement, on one line, and how often it was sent.
type counted struct {
	text  string
	times int
}

// count returns what was sent since the last reset, the most frequent first, and how much that is together.
func (c *counter) count() (texts []counted, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for text, n := range c.sent {
		line := strings.Join(strings.Fields(text), " ")
		texts = append(texts, counted{line[:min(len(line), 100)], n})
		all += n
	}
	slices.SortFunc(texts, func(a, b counted) int { return cmp.Or(b.times-a.times, strings.Compare(a.text, b.text)) })
	return texts, all
}

func (c *counter) close() error {
	c.stop()
	err := c.listener.Close()
	c.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
