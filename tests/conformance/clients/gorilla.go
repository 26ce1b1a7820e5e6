// gorilla.go BASE KEY TOPIC: the checks of interop.py with Go's gorilla/websocket. PLAIN: without compression; CAFILE: whom to trust.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

var base, key, topic string
var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 1048576}

func open(path string, protocols ...string) (*websocket.Conn, string, error) {
	dialer := websocket.Dialer{Subprotocols: protocols, EnableCompression: os.Getenv("PLAIN") == "", HandshakeTimeout: 20 * time.Second}
	if file := os.Getenv("CAFILE"); file != "" {
		pem, _ := os.ReadFile(file)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		dialer.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	conn, response, err := dialer.Dial(base+path, nil)
	if err != nil {
		return nil, "", err
	}
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	return conn, response.Header.Get("Sec-WebSocket-Extensions"), nil
}

func check(name string, body func() error) bool {
	err := body()
	if err == nil {
		fmt.Printf("%s\tok\n", name)
	} else {
		fmt.Printf("%s\t%s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return err == nil
}

func echoes(conn *websocket.Conn, kind int, data []byte) error {
	if err := conn.WriteMessage(kind, data); err != nil {
		return err
	}
	got, back, err := conn.ReadMessage()
	if err == nil && (got != kind || !bytes.Equal(back, data)) {
		err = fmt.Errorf("%d bytes of kind %d came back for %d of %d", len(back), got, len(data), kind)
	}
	return err
}

// closed reads until the peer's close frame, which must have this code.
func closed(conn *websocket.Conn, code int) error {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if websocket.IsCloseError(err, code) {
				return nil
			}
			return err
		}
	}
}

func closes(conn *websocket.Conn, code int) error {
	if err := conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, "done ✓")); err != nil {
		return err
	}
	return closed(conn, code)
}

func receive(conn *websocket.Conn) (map[string]any, error) {
	message := map[string]any{}
	_, data, err := conn.ReadMessage()
	if err == nil {
		err = json.Unmarshal(data, &message)
	}
	return message, err
}

func session() error {
	conn, _, err := open("/v1/ws?topics="+topic, "ringcast.v1", "ringcast.token."+key)
	if err != nil {
		return err
	}
	if conn.Subprotocol() != "ringcast.v1" {
		return fmt.Errorf("sub-protocol %q", conn.Subprotocol())
	}
	for _, op := range []string{"hello", "subscribed", "published"} {
		if op == "published" {
			conn.WriteJSON(map[string]any{"op": "publish", "id": 1, "topic": topic, "data": map[string]any{"p": 1.5, "name": "é€😀"}})
		}
		message, err := receive(conn)
		if err != nil || message["op"] != op {
			return fmt.Errorf("%v instead of %s, %v", message, op, err)
		}
	}
	update, err := receive(conn)
	if err == nil && update["op"] == "topic" {
		update, err = receive(conn)
	}
	if err != nil {
		return err
	}
	if data, fine := update["data"].(map[string]any); !fine || data["name"] != "é€😀" {
		return fmt.Errorf("update %v", update)
	}
	return closes(conn, 1000)
}

func main() {
	base, key, topic = os.Args[1], os.Args[2], os.Args[3]
	var echo *websocket.Conn
	var extensions string
	if !check("connect", func() (err error) { echo, extensions, err = open("/v1/echo"); return }) {
		return
	}
	for _, size := range sizes {
		text := []byte(strings.Repeat("abcdé€😀xyz ", size/19+1))
		for len(text) > size { // no character is cut
			text = text[:len(text)-1]
			for len(text) > 0 && len(text) > size-4 && text[len(text)-1] >= 0x80 {
				text = text[:len(text)-1]
			}
		}
		for len(text) < size {
			text = append(text, 'x')
		}
		check(fmt.Sprintf("text %d", size), func() error { return echoes(echo, websocket.TextMessage, text) })
		binary := make([]byte, size)
		for i := range binary {
			binary[i] = byte(i*7 + i>>8)
		}
		check(fmt.Sprintf("binary %d", size), func() error { return echoes(echo, websocket.BinaryMessage, binary) })
	}
	check("many at once", func() error {
		for n := 0; n < 500; n++ {
			if err := echo.WriteMessage(websocket.TextMessage, []byte(fmt.Sprintf("message %d", n))); err != nil {
				return err
			}
		}
		for n := 0; n < 500; n++ {
			if _, data, err := echo.ReadMessage(); err != nil || string(data) != fmt.Sprintf("message %d", n) {
				return fmt.Errorf("%q at %d, %v", data, n, err)
			}
		}
		return nil
	})
	check("ping", func() error {
		answer := ""
		echo.SetPongHandler(func(data string) error { answer = data; return nil })
		if err := echo.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second)); err != nil {
			return err
		}
		err := echoes(echo, websocket.TextMessage, []byte("after"))
		if err == nil && answer != "are you there" {
			err = fmt.Errorf("pong %q", answer)
		}
		return err
	})
	if extensions == "" {
		extensions = "none"
	}
	fmt.Printf("compression\t%s\n", extensions)
	for _, code := range []int{1000, 3000, 4999} {
		check(fmt.Sprintf("close %d", code), func() error {
			conn, _, err := open("/v1/echo")
			if err == nil {
				err = closes(conn, code)
			}
			return err
		})
	}
	check("closed 1003", func() error {
		conn, _, err := open("/v1/ws")
		if err == nil {
			conn.WriteMessage(websocket.BinaryMessage, []byte{1, 2})
			err = closed(conn, 1003)
		}
		return err
	})
	check("closed 4400", func() error {
		conn, _, err := open("/v1/ws?mode=wrong")
		if err == nil {
			err = closed(conn, 4400)
		}
		return err
	})
	check("session", session)
	check("goodbye", func() error { return closes(echo, 1000) })
}
