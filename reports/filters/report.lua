-- What both renderers leave to the report: traced numbers, the band of key figures, tables on paper.

local is_html = FORMAT:match("html") ~= nil

local function typst(text) return pandoc.RawInline("typst", text) end

local function wrapped(open, inlines, close)
  local result = pandoc.Inlines({ typst(open) })
  result:extend(inlines)
  result:insert(typst(close))
  return result
end

-- On paper a link to a page beside the report leads nowhere: the number stands alone.
local function unlink(link)
  if not is_html and link.classes:includes("trace") then return {} end
  if not is_html and link.classes:includes("finding") then return link.content end
end

local PARTS = { label = true, value = true, basis = true, change = true }

local function card_part(span)
  if FORMAT ~= "typst" then return nil end
  local class = span.classes[1]
  if PARTS[class] then
    local tone = span.classes[2] == "level" and "(muted: true)" or ""
    return wrapped("#card-" .. class .. tone .. "[", span.content, "]")
  end
end

local function band(div)
  if FORMAT ~= "typst" or not div.classes:includes("kpis") then return nil end
  local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#kpis(") })
  for _, card in ipairs(div.content) do
    blocks:insert(pandoc.RawBlock("typst", "["))
    blocks:insert(card)
    blocks:insert(pandoc.RawBlock("typst", "],"))
  end
  blocks:insert(pandoc.RawBlock("typst", ")"))
  return blocks
end

-- What a chapter means and what it does not: side by side where there is room.
local function reading(div)
  if not div.classes:includes("reading") then return nil end
  local columns = pandoc.List()
  for _, block in ipairs(div.content) do
    if block.t == "Header" or #columns == 0 then columns:insert(pandoc.Blocks({})) end
    columns[#columns]:insert(block)
  end
  if is_html then
    return pandoc.Div(columns:map(function(column) return pandoc.Div(column) end), pandoc.Attr("", { "reading" }))
  end
  local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#reading(") })
  for _, column in ipairs(columns) do
    blocks:insert(pandoc.RawBlock("typst", "["))
    blocks:extend(column)
    blocks:insert(pandoc.RawBlock("typst", "],"))
  end
  blocks:insert(pandoc.RawBlock("typst", ")"))
  return blocks
end

-- Long words on paper --------------------------------------------------------------------------------------------

-- A word too long for a line or a column may break after its punctuation, and where it has none every few characters.
local LONG_WORD, FEW, BREAK = 20, 10, "\u{200b}"

local function joins(code) -- zero-width joiner, combining marks, variation selectors, skin tones
  return code == 0x200d or code >= 0x300 and code <= 0x36f or code >= 0xfe00 and code <= 0xfe0f
    or code >= 0x1f3fb and code <= 0x1f3ff
end

local function chopped(run)
  if pandoc.text.len(run) <= LONG_WORD then return nil end
  local parts, since, previous = pandoc.List(), 0, nil
  for _, code in utf8.codes(run) do
    if since >= FEW and not joins(code) and previous ~= 0x200d then
      parts:insert(BREAK)
      since = 0
    end
    parts:insert(utf8.char(code))
    since, previous = since + 1, code
  end
  return table.concat(parts)
end

local function breakable(str)
  if is_html then return nil end
  if pandoc.text.len(str.text) <= LONG_WORD then -- an interval stays on its line, and a minus with its amount
    local whole = str.text:match("%d.*–.*%d") or str.text:match("−%D")
    return whole and wrapped("#box[", pandoc.Inlines({ str }), "]") or nil
  end
  local text = str.text:gsub("[^._/,;:]+", chopped):gsub("[._/,;:]", "%0" .. BREAK)
  return pandoc.Str(text)
end

-- Tables on paper -----------------------------------------------------------------------------------------------

local ALIGNMENTS = { AlignLeft = "left", AlignRight = "right", AlignCenter = "center", AlignDefault = "left" }

local function typst_of(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst"):gsub("%s+$", ""))
end

local function side_of(cell, default)
  local style = cell.attr.attributes.style or ""
  local class = table.concat(cell.attr.classes, " ")
  local side = style:match("text%-align:%s*(%a+)") or class:match("gt_(left)") or class:match("gt_(right)") or class:match("gt_(center)")
  return side or (cell.alignment ~= "AlignDefault" and ALIGNMENTS[cell.alignment]) or default
end

-- Bold and colours of a cell, which Pandoc's reader keeps as CSS only.
local function styled(cell, text)
  local style = cell.attr.attributes.style or ""
  local colour = (";" .. style):match("[;%s]color:%s*(#%x%x%x%x%x%x)")
  if colour then text = string.format("#text(fill: rgb(\"%s\"))[%s]", colour, text) end
  if style:match("font%-weight:%s*bold") or style:match("font%-weight:%s*[67]00") then text = "#strong[" .. text .. "]" end
  return text
end

-- A value above its interval, where a line has no room for both.
local function parts_of(cell)
  return pandoc.utils.stringify(cell.contents):match("^(.-%d.-) (%(.+%))$")
end

local function stacked(value, interval)
  return string.format("%s #aside[%s]", typst_of({ pandoc.Plain(value) }), typst_of({ pandoc.Plain(interval) }))
end

local function typst_cell(cell, side, stacks)
  local options = { "align: " .. side }
  if cell.col_span > 1 then table.insert(options, "colspan: " .. cell.col_span) end
  if cell.row_span > 1 then table.insert(options, "rowspan: " .. cell.row_span) end
  local fill = (cell.attr.attributes.style or ""):match("background%-color:%s*(#%x%x%x%x%x%x)")
  if fill then table.insert(options, string.format("fill: rgb(\"%s\")", fill)) end
  local value, interval = parts_of(cell)
  local text = stacks and value and stacked(value, interval) or typst_of(cell.contents)
  return string.format("table.cell(%s)[%s]", table.concat(options, ", "), styled(cell, text))
end

local function typst_rows(rows, sides, stacks)
  local cells = {}
  for _, row in ipairs(rows) do
    for column, cell in ipairs(row.cells) do
      table.insert(cells, typst_cell(cell, side_of(cell, sides[column] or "left"), stacks))
    end
  end
  return table.concat(cells, ",\n")
end

-- Notes below a table.
local function typst_notes(rows)
  local cells = {}
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row.cells) do
      table.insert(cells, string.format("table.cell(colspan: %d, stroke: none)[#note[%s]]", cell.col_span, typst_of(cell.contents)))
    end
  end
  return table.concat(cells, ",\n")
end

-- Alignment of a column is that of its first body cell: HTML tables carry it there.
local function column_sides(tbl)
  local sides = {}
  for column, spec in ipairs(tbl.colspecs) do sides[column] = ALIGNMENTS[spec[1]] or "left" end
  local body = tbl.bodies[1]
  local first = body and body.body[1]
  for column, cell in ipairs(first and first.cells or {}) do sides[column] = side_of(cell, sides[column]) end
  return sides
end

-- Columns of numbers and of short texts take what they need, columns of words share the rest by their longest entry.
-- Where a line is too short for that, headers break, and after them intervals go below their values.
local SHORTEST, SHORT, FEWEST, LONGEST = 6, 14, 18, 80 -- characters of an entry
local LINE, PADDING = 108, 2 -- characters of a line, of the room beside a column

-- How long each column's entries are: header, whole entries, entries without their intervals, and single words.
local function lengths(tbl, count)
  local found = { head = {}, body = {}, part = {}, word = {} }
  for _, longest in pairs(found) do
    for column = 1, count do longest[column] = SHORTEST end
  end
  local function note(name, column, text, most)
    found[name][column] = math.max(found[name][column], math.min(pandoc.text.len(text), most))
  end
  local function look(rows, name)
    for _, row in ipairs(rows) do
      for column, cell in ipairs(row.cells) do
        if cell.col_span == 1 and column <= count then
          local text = pandoc.utils.stringify(cell.contents)
          local value, interval = parts_of(cell)
          note(name, column, text, LONGEST)
          if name == "body" then
            note("part", column, value or text, LONGEST)
            note("part", column, interval or "", LONGEST)
          end
          for word in text:gmatch("%S+") do note("word", column, word, LONG_WORD) end
        end
      end
    end
  end
  look(tbl.head.rows, "head")
  for _, body in ipairs(tbl.bodies) do look(body.body, "body") end
  return found
end

-- The widths of a table that says how wide its columns are.
local function given_widths(tbl, count)
  local given, differ = {}, false
  for column, spec in ipairs(tbl.colspecs) do
    differ = differ or (given[1] and spec[2] and math.abs(spec[2] - given[1]) > 0.01)
    given[column] = spec[2]
  end
  if not differ or #given ~= count then return nil end
  for column, width in ipairs(given) do given[column] = string.format("%.3ffr", width) end
  return given
end

-- The widths of the columns, and whether intervals stand below their values.
local function column_widths(tbl, sides)
  local given = given_widths(tbl, #sides)
  if given then return given, false end
  local found = lengths(tbl, #sides)
  local function holds_words(column) return sides[column] == "left" and found.body[column] > SHORT end
  local function least(column, entries)
    local half = math.ceil(found.head[column] / 2) + 1 -- a header takes two lines at most
    if not holds_words(column) then return math.max(found[entries][column], found.word[column], half) end
    return math.max(found.word[column], math.min(found.body[column], FEWEST))
  end
  local function needed(entries, heads)
    local sum = 0
    for column in ipairs(sides) do
      sum = sum + math.max(least(column, entries), heads and not holds_words(column) and found.head[column] or 0) + PADDING
    end
    return sum
  end
  local widths = {}
  if needed("body", true) <= LINE then
    for column in ipairs(sides) do
      local shares = holds_words(column) or column == 1
      widths[column] = shares and string.format("%dfr", found.body[column] + 2 * PADDING) or "auto"
    end
    return widths, false
  end
  local stacks = needed("body", false) > LINE
  local entries = stacks and "part" or "body"
  local room, words = LINE, 0
  for column in ipairs(sides) do
    if holds_words(column) then words = words + found.body[column] else room = room - least(column, entries) - PADDING end
  end
  for column in ipairs(sides) do
    local share = holds_words(column) and math.floor(room * found.body[column] / words) - PADDING or 0
    widths[column] = string.format("%dfr", math.max(least(column, entries), share) + PADDING)
  end
  return widths, stacks
end

-- A table of few rows and short texts does not break across pages.
local MOST_ROWS, MOST_CHARACTERS = 16, 120
local function is_kept_together(tbl)
  local count = 0
  for _, body in ipairs(tbl.bodies) do
    for _, row in ipairs(body.body) do
      count = count + 1
      for _, cell in ipairs(row.cells) do
        if pandoc.text.len(pandoc.utils.stringify(cell.contents)) > MOST_CHARACTERS then return false end
      end
    end
  end
  return count <= MOST_ROWS
end

local function typst_table(tbl)
  if FORMAT ~= "typst" then return nil end
  local sides = column_sides(tbl)
  local widths, stacks = column_widths(tbl, sides)
  local parts = { string.format("#table(columns: (%s,), inset: cell-inset(%d)", table.concat(widths, ", "), #sides) }
  local function add(text) if text ~= "" then table.insert(parts, text) end end
  if #tbl.head.rows > 0 then add("table.header(\n" .. typst_rows(tbl.head.rows, sides) .. ")") end
  for _, body in ipairs(tbl.bodies) do
    add(typst_rows(body.head, sides, stacks))
    add(typst_rows(body.body, sides, stacks))
  end
  if #tbl.foot.rows > 0 then add("table.footer(repeat: false,\n" .. typst_notes(tbl.foot.rows) .. ")") end
  local text = table.concat(parts, ",\n") .. ")"
  if is_kept_together(tbl) then text = "#block(breakable: false)[" .. text .. "]" end
  return pandoc.RawBlock("typst", text)
end

-- Chapters on paper ---------------------------------------------------------------------------------------------

-- A chapter with a picture stays on one page where that holds it; what has none may begin and end anywhere. Both renderers
-- write a figure as several blocks, the last of which says what its number is of.
local function end_of_picture(part)
  local begun = false
  for number, block in ipairs(part) do
    local text = typst_of({ block })
    begun = begun or text:match("image%(") ~= nil
    if begun and text:match("supplement:") then return number end
  end
end

local function chapter(part)
  local picture = end_of_picture(part)
  if not picture then return part end
  local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#chapter[") })
  for number, block in ipairs(part) do
    blocks:insert(block)
    if number == picture then blocks:insert(pandoc.RawBlock("typst", "][")) end
  end
  blocks:insert(pandoc.RawBlock("typst", "]"))
  return blocks
end

local function chapters(doc)
  if FORMAT ~= "typst" then return nil end
  local highest
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" then highest = math.min(highest or block.level, block.level) end
  end
  local parts = pandoc.List({ pandoc.Blocks({}) })
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" and block.level == highest then parts:insert(pandoc.Blocks({})) end
    parts[#parts]:insert(block)
  end
  local blocks = pandoc.Blocks({})
  for _, part in ipairs(parts) do blocks:extend(chapter(part)) end
  return pandoc.Pandoc(blocks, doc.meta)
end

local function lead(div)
  if FORMAT ~= "typst" or not div.classes:includes("lead") then return nil end
  local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#lead[") })
  blocks:extend(div.content)
  blocks:insert(pandoc.RawBlock("typst", "]"))
  return blocks
end

return {
  { Str = breakable },
  { Link = unlink, Span = card_part },
  { Div = function(div) return band(div) or reading(div) or lead(div) end, Table = typst_table },
  { Pandoc = chapters },
}
