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
  if pandoc.text.len(str.text) <= LONG_WORD then -- an interval stays on its line
    return str.text:match("%d.*–.*%d") and wrapped("#box[", pandoc.Inlines({ str }), "]") or nil
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

local function typst_cell(cell, default)
  local options = { "align: " .. side_of(cell, default) }
  if cell.col_span > 1 then table.insert(options, "colspan: " .. cell.col_span) end
  if cell.row_span > 1 then table.insert(options, "rowspan: " .. cell.row_span) end
  local fill = (cell.attr.attributes.style or ""):match("background%-color:%s*(#%x%x%x%x%x%x)")
  if fill then table.insert(options, string.format("fill: rgb(\"%s\")", fill)) end
  return string.format("table.cell(%s)[%s]", table.concat(options, ", "), styled(cell, typst_of(cell.contents)))
end

local function typst_rows(rows, defaults)
  local cells = {}
  for _, row in ipairs(rows) do
    for column, cell in ipairs(row.cells) do table.insert(cells, typst_cell(cell, defaults[column] or "left")) end
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

-- Columns of numbers take what they need; columns of words share the rest by the length of their longest entry. Where
-- that leaves words too little, all columns share the line, and long entries break between words.
local SHORTEST, LONGEST, GAP, WIDEST_NUMBER = 6, 36, 4, 28
local LINE, PADDING, FEWEST = 100, 2, 18 -- characters of a line, of the room beside a column, of a column of words
local function lengths(tbl, columns)
  local entry, word = {}, {}
  for column = 1, columns do entry[column], word[column] = SHORTEST, SHORTEST end
  local function look(rows)
    for _, row in ipairs(rows) do
      for column, cell in ipairs(row.cells) do
        if cell.col_span == 1 and entry[column] then
          local text = pandoc.utils.stringify(cell.contents)
          entry[column] = math.max(entry[column], math.min(pandoc.text.len(text), LONGEST))
          for part in text:gmatch("%S+") do
            word[column] = math.max(word[column], math.min(pandoc.text.len(part), LONG_WORD))
          end
        end
      end
    end
  end
  look(tbl.head.rows)
  for _, body in ipairs(tbl.bodies) do look(body.body) end
  return entry, word
end

local function column_widths(tbl, sides)
  local given, differ = {}, false -- a table that says how wide its columns are
  for column, spec in ipairs(tbl.colspecs) do
    given[column] = spec[2]
    differ = differ or (given[1] and spec[2] and math.abs(spec[2] - given[1]) > 0.01)
  end
  if differ and #given == #sides then
    for column, width in ipairs(given) do given[column] = string.format("%.3ffr", width) end
    return given
  end
  local entry, word = lengths(tbl, #sides)
  local needed, widths = 0, {}
  for column, side in ipairs(sides) do
    local takes_share = side == "left" or entry[column] > WIDEST_NUMBER
    local least = takes_share and math.max(word[column], math.min(entry[column], FEWEST)) or entry[column]
    needed = needed + least + PADDING
    widths[column] = takes_share and string.format("%dfr", entry[column] + GAP) or "auto"
  end
  if needed <= LINE then return widths end
  local room, words = LINE, 0
  for column, side in ipairs(sides) do
    if side == "left" then words = words + entry[column] else room = room - math.max(word[column], entry[column] / 2) - PADDING end
  end
  for column, side in ipairs(sides) do
    local wanted = side == "left" and math.min(0.7, room / words) * entry[column] or entry[column] / 2
    widths[column] = string.format("%dfr", math.ceil(math.max(word[column], wanted)) + PADDING)
  end
  return widths
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
  local widths = column_widths(tbl, sides)
  local parts = { string.format("#table(columns: (%s,)", table.concat(widths, ", ")) }
  local function add(text) if text ~= "" then table.insert(parts, text) end end
  if #tbl.head.rows > 0 then add("table.header(\n" .. typst_rows(tbl.head.rows, sides) .. ")") end
  for _, body in ipairs(tbl.bodies) do
    add(typst_rows(body.head, sides))
    add(typst_rows(body.body, sides))
  end
  if #tbl.foot.rows > 0 then add("table.footer(repeat: false,\n" .. typst_rows(tbl.foot.rows, sides) .. ")") end
  local text = table.concat(parts, ",\n") .. ")"
  if is_kept_together(tbl) then text = "#block(breakable: false)[" .. text .. "]" end
  return pandoc.RawBlock("typst", text)
end

return { { Str = breakable }, { Link = unlink, Span = card_part }, { Div = function(div) return band(div) or reading(div) end, Table = typst_table } }
