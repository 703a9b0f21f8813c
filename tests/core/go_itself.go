// Renders templates with Go's own text/template, as Ollama's template.go calls it.
// Lines of JSON come in on standard input (a Case each) and go out (a Said each).
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"text/template"
)

type Message struct {
	Role, Content, Thinking string
	Images                  [][]byte
	ToolCalls               []string
}

type Case struct {
	Template, System, Prompt, Suffix string
	Messages                         [][2]string
}

type Said struct {
	Refused bool
	Text    string
}

func render(wanted Case) (string, error) {
	functions := template.FuncMap{"json": func(value any) string { return "" }}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(wanted.Template)
	if err != nil {
		return "", err
	}
	values := map[string]any{"Response": "", "Think": false, "IsThinkSet": false}
	if wanted.Suffix != "" {
		values["Prompt"], values["Suffix"] = wanted.Prompt, wanted.Suffix
	} else {
		messages := []*Message{}
		for _, turn := range wanted.Messages {
			messages = append(messages, &Message{Role: turn[0], Content: turn[1]})
		}
		values["System"], values["Messages"], values["Tools"] = wanted.System, messages, []string(nil)
	}
	var written bytes.Buffer
	err = parsed.Execute(&written, values)
	return written.String(), err
}

func main() {
	cases, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var wanted Case
		if err := cases.Decode(&wanted); err == io.EOF {
			return
		} else if err != nil {
			panic(err)
		}
		text, err := render(wanted)
		if err != nil {
			text = ""
		}
		if err := answers.Encode(Said{Refused: err != nil, Text: text}); err != nil {
			panic(err)
		}
	}
}
