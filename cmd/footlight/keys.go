package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/footlight-live/footlight/internal/accesskey"
)

// keysCommand works on the files of the data dir: it runs on the server's machine, as the server's user, whether the
// server runs or not. A running one sees the change at the next request.
type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Create an access key and print it. Its secret is not shown again."`
	List   keysListCommand   `cmd:"" help:"List the access keys, without their secrets."`
	Delete keysDeleteCommand `cmd:"" help:"Delete an access key. It stops working at once."`
}

type keysCreateCommand struct {
	DataDir     string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
	ReadOnly    bool   `name:"read-only" help:"The key may call Get, List and BatchGet operations only."`
	Description string `help:"What the key is for, up to 256 bytes." placeholder:"TEXT"`
}

func (c *keysCreateCommand) Run() error {
	unused := checkDataDir(c.DataDir) != nil
	key, err := accesskey.Create(c.DataDir, c.Description, c.ReadOnly)
	if err != nil {
		return err
	}
	if unused { // a first server may want a key of its own, but it may as well be a wrong --data-dir
		fmt.Fprintf(os.Stderr, "footlight: no server has run with %s yet: this key is for one that you start there\n", c.DataDir)
	}
	fmt.Printf("AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", key.ID, key.Secret)
	return nil
}

type keysListCommand struct {
	DataDir string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
}

func (c *keysListCommand) Run() error {
	if err := checkDataDir(c.DataDir); err != nil {
		return err
	}
	keys, err := accesskey.List(c.DataDir)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCESS KEY ID\tMAY\tCREATED\tLAST USED\tDESCRIPTION")
	for _, k := range keys {
		may := "everything"
		if k.ReadOnly {
			may = "read"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, may, moment(k.Created), moment(k.LastUsed), k.Description)
	}
	return w.Flush()
}

// moment is a time for people and programs; a zero one is a dash.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

type keysDeleteCommand struct {
	ID      string `arg:"" help:"Access key id."`
	DataDir string `help:"Data dir of the server." default:"data" type:"path" placeholder:"DIR"`
}

func (c *keysDeleteCommand) Run() error {
	if err := checkDataDir(c.DataDir); err != nil {
		return err
	}
	return accesskey.Delete(c.DataDir, c.ID)
}
